using System.Diagnostics;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// Session peers of a swarm lose their connections and come back. A peer that is cut remains in its channel, so that what is published
/// from then on must reach it.
/// </summary>
internal sealed class Outage(Swarm swarm)
{
    private const long ReplayPatience = 10_000_000_000;

    private readonly List<StreamPeer> _cut = [];
    private int _turn;

    /// <summary>
    /// Resets the connections of the next <paramref name="count"/> peers. The next ones are others, as long as there are some: a session
    /// may not have many streams within a short time.
    /// </summary>
    /// <param name="count">How many peers.</param>
    /// <param name="owners">Whether the owners of the channels are among those that take turns.</param>
    public void Cut(int count, bool owners)
    {
        StreamPeer[] peers = [.. swarm.Channels.SelectMany(channel => owners ? channel.Peers : channel.Peers.Skip(1))];
        for (int i = 0; i < count; i++)
        {
            StreamPeer peer = peers[(_turn + i) % peers.Length];
            swarm.Cut(peer);
            _cut.Add(peer);
        }

        _turn = (_turn + count) % peers.Length;
    }

    /// <summary>Has the peers that were cut come back, and waits until each has its first event.</summary>
    /// <param name="atOnce">Each connects without waiting for the others; otherwise as many at a time as join.</param>
    public void Resume(bool atOnce)
    {
        foreach (StreamPeer peer in _cut)
            swarm.Resume(peer, atOnce);
        _cut.Clear();
        swarm.WaitForJoins(0);
    }

    /// <summary>
    /// Has all peers forget everything since their joins and come back, and checks that it is replayed to them. In channels of one peer: a
    /// replay has the messages of an owner and not what it was told of others.
    /// </summary>
    /// <param name="events">How many there were in each channel.</param>
    public void ReplayAll(int events)
    {
        Cut(swarm.PeerCount, owners: true);
        PeerSession[] sessions = [.. _cut.Select(peer => peer.Session!)];
        foreach (PeerSession session in sessions)
            session.Rewind();
        Resume(atOnce: false);
        foreach (PeerSession session in sessions)
        {
            while (session.Events < events)
            {
                if (swarm.Epoll.Wait(ReplayPatience) == 0)
                    throw new BenchmarkException($"A replay had {session.Events} events, not {events}.");
            }
        }
    }

    /// <summary>Publishes while the peers are away, has them come back at once, and waits until every peer has everything.</summary>
    /// <param name="missed">Messages to each channel.</param>
    /// <param name="size">Bytes of data in each.</param>
    /// <returns>The time since the peers began to come back.</returns>
    /// <exception cref="BenchmarkException">A peer did not get every message once and in order.</exception>
    public TimeSpan Return(int missed, int size)
    {
        int messages = missed * swarm.Channels.Length;
        long began = 0;
        swarm.Run(new RunPlan { Messages = messages, Window = messages, Size = size }, inFlight =>
        {
            if (began != 0 || inFlight.Answered < messages)
                return;
            began = Stopwatch.GetTimestamp();
            Resume(atOnce: true);
        }).RequireFaultless();
        return Stopwatch.GetElapsedTime(began);
    }
}
