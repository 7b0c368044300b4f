namespace Moshpit.Benchmarks.Clients;

/// <summary>Messages of one peer that it wrote, had answered and read back.</summary>
/// <param name="Messages">How many.</param>
/// <param name="Elapsed">From the first Write to the last echo and the last answer.</param>
/// <param name="Allocated">Bytes that the process allocated on its heap meanwhile.</param>
internal readonly record struct EchoRun(int Messages, TimeSpan Elapsed, long Allocated)
{
    public double PerSecond => Messages / Elapsed.TotalSeconds;

    public double MillisecondsPerMessage => Elapsed.TotalMilliseconds / Messages;

    public double AllocatedPerMessage => (double)Allocated / Messages;
}
