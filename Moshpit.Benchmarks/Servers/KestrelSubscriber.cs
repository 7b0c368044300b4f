using System.Net.ServerSentEvents;
using System.Threading.Channels;

namespace Moshpit.Benchmarks.Servers;

/// <summary>
/// One open response of the <see cref="KestrelServer"/> and what waits for it. Disposed by ASP.NET Core at the response's end.
/// </summary>
internal sealed class KestrelSubscriber(KestrelChannel channel) : IDisposable
{
    public Channel<SseItem<byte[]>> Queue { get; } =
        Channel.CreateUnbounded<SseItem<byte[]>>(new UnboundedChannelOptions { SingleReader = true });

    public void Dispose() => channel.Remove(this);
}
