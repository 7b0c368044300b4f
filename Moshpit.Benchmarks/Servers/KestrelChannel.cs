using System.Net.ServerSentEvents;

namespace Moshpit.Benchmarks.Servers;

/// <summary>The subscribers of one channel of the <see cref="KestrelServer"/>.</summary>
internal sealed class KestrelChannel
{
    private readonly Lock _gate = new();
    private readonly HashSet<KestrelSubscriber> _subscribers = [];
    private KestrelSubscriber[]? _snapshot = [];

    public void Add(KestrelSubscriber subscriber)
    {
        lock (_gate)
        {
            _subscribers.Add(subscriber);
            _snapshot = null;
        }
    }

    public void Remove(KestrelSubscriber subscriber)
    {
        lock (_gate)
        {
            _subscribers.Remove(subscriber);
            _snapshot = null;
        }
    }

    /// <summary>Gives <paramref name="item"/> to every subscriber; all see one order.</summary>
    public void Publish(SseItem<byte[]> item)
    {
        lock (_gate)
        {
            _snapshot ??= [.. _subscribers];
            foreach (KestrelSubscriber subscriber in _snapshot)
                subscriber.Queue.Writer.TryWrite(item);
        }
    }
}
