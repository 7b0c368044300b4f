using System.Diagnostics.CodeAnalysis;

namespace Moshpit.Server.Channels;

/// <summary>
/// Session peers without a stream until their grace is over, and peers that are to leave at a certain time. A deadline that has become void
/// stands here until then, and is passed over; a peer has few of them, since it may open but few streams in that time.
/// </summary>
/// <param name="grace">Milliseconds for which a peer may be away; 0: no peer may.</param>
/// <param name="now">Milliseconds since the server's start.</param>
internal sealed class AwayPeers(long grace, Func<long> now)
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

    /// <summary>Begins the grace of <paramref name="peer"/>, whose lock is held.</summary>
    public void Add(Peer peer)
    {
        Session session = peer.Session!;
        session.Absence++;
        RenewGrace(session);
        GoOnWaitingFor(peer);
    }

    /// <summary>The grace of <paramref name="session"/> begins again. The deadline that there is finds that out.</summary>
    public void RenewGrace(Session session) => session.AwayUntil = now() + Grace;

    /// <summary>The grace of <paramref name="peer"/>, whose lock is held, is not over yet.</summary>
    public void GoOnWaitingFor(Peer peer)
    {
        Session session = peer.Session!;
        lock (_gate)
            _deadlines.Enqueue(new Deadline(peer, session.Absence, Leaves: false), session.AwayUntil);
    }

    /// <summary>
    /// <paramref name="peer"/> leaves after <paramref name="delay"/> milliseconds if its stream is still its <paramref name="stream"/>th.
    /// </summary>
    public void AddLeave(Peer peer, int stream, long delay)
    {
        long deadline = now() + delay;
        lock (_gate)
        {
            // Said again, it changes nothing unless it is to be sooner.
            if (_leaves.TryGetValue(peer, out (int Stream, long At) other) && other.Stream == stream && other.At <= deadline)
                return;
            _leaves[peer] = (stream, deadline);
            _deadlines.Enqueue(new Deadline(peer, stream, Leaves: true), deadline);
        }
    }

    /// <summary>Does what is due.</summary>
    public void OnTick()
    {
        long time = now();
        while (TryTake(time, out Deadline? due))
        {
            if (due.Leaves)
                due.Peer.OnLeaveDue(due.Mark);
            else
                due.Peer.OnGraceOver(due.Mark, time);
        }
    }

    private bool TryTake(long time, [NotNullWhen(true)] out Deadline? due)
    {
        lock (_gate)
        {
            if (_deadlines.TryPeek(out due, out long at) && at <= time)
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
