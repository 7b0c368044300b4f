using Moshpit.Server.Http;

namespace Moshpit.Server.Api;

/// <summary>What the server does for the requests of a route.</summary>
internal interface IHandler
{
    /// <summary>
    /// Answers the request, refuses it, or makes its connection a stream. What is written is sent together with the answers to the requests
    /// before and after it. A handler that waits calls <see cref="Exchange.BeforeWaiting"/> first.
    /// </summary>
    ValueTask<Outcome> HandleAsync(Exchange exchange);
}

/// <summary>What became of a request.</summary>
internal readonly struct Outcome
{
    private readonly object? _what;

    private Outcome(object what) => _what = what;

    /// <summary>The answer is written.</summary>
    public static Outcome Answered => default;

    /// <summary>The connection is an event stream now, and no longer the caller's, nor is the hold on its client's usage.</summary>
    public static Outcome Stream { get; } = new(nameof(Stream));

    /// <summary>The client is gone: no answer would reach it.</summary>
    public static Outcome Gone { get; } = new(nameof(Gone));

    /// <summary>Why the request is refused, if it is. The answer is the caller's to write.</summary>
    public Rejection? Rejection => _what as Rejection;

    public bool IsStream => ReferenceEquals(_what, Stream._what);

    public bool IsGone => ReferenceEquals(_what, Gone._what);

    public static implicit operator Outcome(Rejection rejection) => new(rejection);
}
