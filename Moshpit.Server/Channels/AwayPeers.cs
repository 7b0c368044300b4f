using System.Diagnostics.CodeAnalysis;

namespace Moshpit.Server.Channels;

/// <summary>
/// Session peers without a stream until their grace is over, and peers that are to leave at a certain time. A deadline that has become void
/// stands here until then, and is passed over; a peer has few of them, since it may open but few streams in that time.
/// </summary>
/// <param name="grace">Milliseconds for which a peer may be away; 0: no peer may.</param>
internal sealed class AwayPeers(long grace)
{
    private readonly Lock _gate = new();
    private readonly PriorityQueue<Deadline, long> _deadlines = new();

    /// <summary>Which stream of a peer it is to leave with, and when at the earliest.</summary>
    private readonly Dictionary<Peer, (int Stream, long At)> _leaves = [];

    /// <summary>Milliseconds for which a peer may be away; 0: no peer may.</summary>
    public long Grace { get; } = grace;

    /// <summary>Deadlines, void ones too.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
                return _deadlines.Count;
        }
    }

    /// <summary>
    /// The grace of <paramref name="peer"/> is over at <paramref name="deadline"/>, with its <paramref name="absence"/>th absence.
    /// </summary>
    public void Add(Peer peer, int absence, long deadline) => Add(new Deadline(peer, absence, Leaves: false), deadline);

    /// <summary>
    /// <paramref name="peer"/> leaves at <paramref name="deadline"/> if its stream is still its <paramref name="stream"/>th.
    /// </summary>
    public void AddLeave(Peer peer, int stream, long deadline)
    {
        lock (_gate)
        {
            // Said again, it changes nothing unless it is to be sooner.
            if (_leaves.TryGetValue(peer, out (int Stream, long At) other) && other.Stream == stream && other.At <= deadline)
                return;
            _leaves[peer] = (stream, deadline);
            _deadlines.Enqueue(new Deadline(peer, stream, Leaves: true), deadline);
        }
    }

    /// <summary>Does what is due at <paramref name="now"/>.</summary>
    public void OnTick(long now)
    {
        while (TryTake(now, out Deadline? due))
        {
            if (due.Leaves)
                due.Peer.OnLeaveDue(due.Mark);
            else
                due.Peer.OnGraceOver(due.Mark, now);
        }
    }

    private void Add(Deadline deadline, long at)
    {
        lock (_gate)
            _deadlines.Enqueue(deadline, at);
    }

    private bool TryTake(long now, [NotNullWhen(true)] out Deadline? due)
    {
        lock (_gate)
        {
            if (_deadlines.TryPeek(out due, out long at) && at <= now)
            {
                _deadlines.Dequeue();
                if (due.Leaves && _leaves.TryGetValue(due.Peer, out (int Stream, long At) leave) && leave.At <= at)
                    _leaves.Remove(due.Peer);
                return true;
            }

            due = null;
            return false;
        }
    }

    /// <param name="Peer">Whose it is.</param>
    /// <param name="Mark">Which absence or stream of the peer it is for; void once there was another.</param>
    /// <param name="Leaves">It leaves, whether it is away or not.</param>
    private sealed record Deadline(Peer Peer, int Mark, bool Leaves);
}
