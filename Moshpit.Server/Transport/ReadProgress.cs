namespace Moshpit.Server.Transport;

/// <summary>
/// Whether a peer that is behind reads: it does if it has acknowledged more than at the look before. A send completes when a large part of
/// the socket's buffer is free again, which takes a peer long that reads a few bytes at a time.
/// </summary>
/// <param name="acknowledged">How many bytes the peer has acknowledged in all.</param>
/// <param name="time">The source of time.</param>
internal sealed class ReadProgress(Func<long> acknowledged, TimeProvider time)
{
    /// <summary>How long a peer that was seen to read counts as reading. One that was not is looked at again at once.</summary>
    public static readonly TimeSpan Validity = TimeSpan.FromMilliseconds(100);

    private readonly long _began = time.GetTimestamp();
    private long _acknowledged = acknowledged();
    private long _lookedAt = time.GetTimestamp();
    private bool _isReading;

    /// <summary>The peer fell behind so short a time ago that one that reads may not have acknowledged anything yet.</summary>
    public bool IsNew => time.GetElapsedTime(_began) < Validity;

    /// <summary>By a look that is not older than <see cref="Validity"/>.</summary>
    public bool IsReading => (_isReading && time.GetElapsedTime(_lookedAt) < Validity) || Look();

    /// <summary>True: the peer has acknowledged more since the last look.</summary>
    public bool Look()
    {
        long total = acknowledged();
        _isReading = total > _acknowledged;
        _acknowledged = total;
        _lookedAt = time.GetTimestamp();
        return _isReading;
    }
}
