using System.Text;
using Moshpit.Server.Buffers;
using Moshpit.Server.Transport;

namespace Moshpit.Tests.Support;

/// <summary>A sink that remembers every write, and can hold up whoever writes, as no real sink does.</summary>
internal sealed class RecordingSink : FrameSink
{
    private readonly List<string> _writes = [];
    private readonly ManualResetEventSlim _open = new(true);

    /// <summary>Each write as it came.</summary>
    public IReadOnlyList<string> Writes
    {
        get
        {
            lock (this)
                return [.. _writes];
        }
    }

    /// <summary>All bytes in order.</summary>
    public string Text => string.Concat(Writes);

    /// <summary>Somebody is held up in a write.</summary>
    public bool IsHolding { get; private set; }

    /// <summary>It forgets what it is given, for when a crowd is all that counts.</summary>
    public bool IsDeaf { get; init; }

    public DisconnectReason Completed { get; private set; }

    public void Hold() => _open.Reset();

    public void LetGo() => _open.Set();

    public override void Write(SharedFrame frame, int offset)
    {
        Check();
        IsHolding = !_open.IsSet;
        _open.Wait(RawConnection.Patience);
        IsHolding = false;
        if (offset < frame.Length && !IsDeaf)
            _writes.Add(Encoding.Latin1.GetString(frame.Span[offset..]));
    }

    public override void Complete(DisconnectReason reason)
    {
        Check();
        Completed = reason;
    }

    /// <summary>What breaks the contract is kept among the writes: an exception would end the pool thread that runs a pass, and all tests.</summary>
    private void Check()
    {
        if (!Monitor.IsEntered(this))
            _writes.Add("(called without the lock)");
        if (Completed != DisconnectReason.None)
            _writes.Add("(called after the end)");
    }
}
