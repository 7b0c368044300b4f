namespace Moshpit.Benchmarks.Servers;

/// <summary>A server under test.</summary>
internal enum ServerKind
{
    /// <summary>The product.</summary>
    Moshpit,

    /// <summary>ASP.NET Core's <c>TypedResults.ServerSentEvents</c> with a channel of messages for each subscriber.</summary>
    Kestrel,

    /// <summary>One thread that sends to one peer after the other, and nothing else: the floor.</summary>
    Bare,
}
