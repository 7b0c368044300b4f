using System.Text;
using Moshpit.Server.Buffers;

namespace Moshpit.Tests.Support;

/// <summary>A sink that remembers every write, and can hold up the thread that writes, as no real sink does.</summary>
internal sealed class RecordingSink : FrameSink
{
    private readonly List<string> _writes = [];
    private readonly ManualResetEventSlim _open = new(true);
    private int _writers;

    /// <summary>Each write as it came.</summary>
    public IReadOnlyList<string> Writes
    {
        get
        {
            lock (_writes)
                return [.. _writes];
        }
    }

    /// <summary>All bytes in order.</summary>
    public string Text => string.Concat(Writes);

    /// <summary>A thread is held up in a write.</summary>
    public bool IsHolding { get; private set; }

    /// <summary>The thread of the last write.</summary>
    public int WrittenBy { get; private set; }

    /// <summary>It forgets what it is given, for when a crowd is all that counts.</summary>
    public bool IsDeaf { get; init; }

    /// <summary>Its writes fail, as only those with an error of ours do.</summary>
    public bool IsBroken { get; set; }

    /// <summary>The other side turns out to be gone when it is written to.</summary>
    public bool DiesOfWrite { get; init; }

    public DisconnectReason Completed { get; private set; }

    public void Hold() => _open.Reset();

    public void LetGo() => _open.Set();

    public override bool IsChunked => !IsPlain;

    /// <summary>It stands for a peer that does not know chunks.</summary>
    public bool IsPlain { get; init; }

    /// <summary>What is waited for before more is written; null: it is not behind.</summary>
    public Task? Room { get; set; }

    public override bool IsBehind => Room is not null;

    public override Task? WhenRoom() => Room;

    public override bool HasEnded => Completed != DisconnectReason.None;

    public override void Write(SharedFrame frame, Range bytes)
    {
        Enter();
        WrittenBy = Environment.CurrentManagedThreadId;
        IsHolding = !_open.IsSet;
        _open.Wait(RawConnection.Patience);
        IsHolding = false;
        if (!IsDeaf && !IsBroken && !frame.Span[bytes].IsEmpty)
            Note(Encoding.Latin1.GetString(frame.Span[bytes]));
        Exit();
        if (DiesOfWrite)
            Abort(DisconnectReason.Reset);
        if (IsBroken)
            throw new InvalidOperationException("This sink is broken.");
    }

    public override void Complete(DisconnectReason reason)
    {
        Enter();
        Completed = reason;
        Exit();
    }

    public override void Abort(DisconnectReason reason) => Completed = reason;

    /// <summary>
    /// What breaks the contract is kept among the writes: an exception would end the pool thread of a drain, and all tests.
    /// </summary>
    private void Enter()
    {
        if (Interlocked.Increment(ref _writers) > 1)
            Note("(called twice at once)");
        if (HasEnded)
            Note("(called after the end)");
    }

    private void Exit() => Interlocked.Decrement(ref _writers);

    private void Note(string text)
    {
        lock (_writes)
            _writes.Add(text);
    }
}
