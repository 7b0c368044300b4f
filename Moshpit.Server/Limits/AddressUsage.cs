using System.Buffers.Binary;
using System.Net;

namespace Moshpit.Server.Limits;

/// <summary>
/// What one client address uses now. Held by each of its connections, and for a forwarded request by the request. It is also remembered as
/// long as a stream counts against it: that of a peer that is away has no connection.
/// </summary>
internal sealed class AddressUsage
{
    private const long Second = 1000;
    private const long Minute = 60_000;

    /// <summary>The key of the Unix socket: as an address it is a multicast one, which no client has.</summary>
    internal static readonly UInt128 UnixSocket = UInt128.MaxValue;

    private readonly AddressLimits _limits;
    private readonly UInt128 _key;
    private readonly Lock _gate = new();
    private TokenBucket _requests;
    private TokenBucket _channels;
    private int _streams;

    /// <param name="limits">What an address may use.</param>
    /// <param name="key">An address; of an IPv6 client its network, with zeros behind it.</param>
    internal AddressUsage(AddressLimits limits, UInt128 key)
    {
        _limits = limits;
        _key = key;
    }

    /// <summary>Connections and requests that hold it. Guarded by the table of all usages.</summary>
    internal int Holders { get; set; }

    /// <summary>Counts a request. False: there were too many within a second.</summary>
    public bool TryRequest(long now)
    {
        lock (_gate)
            return _requests.TryTake(now, _limits.RequestsPerSecond, Second);
    }

    /// <summary>Counts a new channel. False: there were too many within a minute.</summary>
    public bool TryCreateChannel(long now)
    {
        lock (_gate)
            return _channels.TryTake(now, _limits.ChannelsPerMinute, Minute);
    }

    /// <summary>Counts a stream until <see cref="RemoveStream"/>. False: there are too many open.</summary>
    /// <param name="isReplacing">
    /// It takes the place of one that is counted until it has ended. A replaced stream whose client neither reads nor closes may last, so
    /// there may be only as many beyond the limit as there may be within it.
    /// </param>
    public bool TryAddStream(bool isReplacing = false)
    {
        lock (_gate)
        {
            if (_streams >= (isReplacing ? 2L : 1L) * _limits.Streams)
                return false;
            _streams++;
            return true;
        }
    }

    public void RemoveStream()
    {
        lock (_gate)
            _streams--;
    }

    /// <summary>The address, or the IPv6 network, for logs.</summary>
    public override string ToString()
    {
        if (_key == UnixSocket)
            return "the Unix socket";
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, _key);
        var address = new IPAddress(bytes);
        return IsIPv4(_key) ? $"{address.MapToIPv4()}" : (ulong)_key == 0 ? $"{address}/64" : $"{address}";
    }

    /// <summary>Whether <paramref name="key"/> is an IPv4 address, which has the form ::ffff:0:0/96 (RFC 4291 section 2.5.5.2).</summary>
    internal static bool IsIPv4(UInt128 key) => key >> 32 == 0xffff;

    /// <summary>Forgetting it now would change nothing.</summary>
    internal bool IsForgettable(long now)
    {
        lock (_gate)
        {
            return _streams == 0 && _requests.IsFull(now, _limits.RequestsPerSecond, Second)
                && _channels.IsFull(now, _limits.ChannelsPerMinute, Minute);
        }
    }
}
