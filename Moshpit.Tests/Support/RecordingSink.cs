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

    public DisconnectReason Completed { get; private set; }

    public void Hold() => _open.Reset();

    public void LetGo() => _open.Set();

    public override void Write(SharedFrame frame, int offset)
    {
        Assert.That(Monitor.IsEntered(this), "A sink is written to under its lock.");
        IsHolding = !_open.IsSet;
        _open.Wait(RawConnection.Patience);
        IsHolding = false;
        Assert.That(Completed, Is.EqualTo(DisconnectReason.None), "Nothing is written after the end.");
        if (offset < frame.Length)
            _writes.Add(Encoding.Latin1.GetString(frame.Span[offset..]));
    }

    public override void Complete(DisconnectReason reason)
    {
        Assert.That(Monitor.IsEntered(this), "A sink is ended under its lock.");
        Completed = reason;
    }
}
