namespace Moshpit.Benchmarks.Servers;

/// <summary>A server under test.</summary>
internal enum ServerKind
{
    /// <summary>The product.</summary>
    Moshpit,

    /// <summary>ASP.NET Core's <c>TypedResults.ServerSentEvents</c> with a channel of messages for each subscriber.</summary>
    Kestrel,

    /// <summary>One thread that sends to one peer after the other, and nothing else: what .NET costs at least.</summary>
    Bare,

    /// <summary>The same in C, without a check of anything: what the kernel costs at least.</summary>
    Floor,
}
