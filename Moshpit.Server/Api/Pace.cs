using Moshpit.Server.Channels;
using Moshpit.Server.Http;
using Moshpit.Server.Limits;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>
/// Holds up a sender that is faster than it may be, or than a peer reads that must not be lost, and whoever joins a channel whose owner has
/// too much to hear. Each waits for a bounded time, and is refused then. A peer that does not read delays no other client: it is cut in its own time.
/// </summary>
internal static class Pace
{
    /// <summary>How long anything waits.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(SendRate.LongestWait);

    /// <summary>
    /// Waits until <paramref name="post"/> may be delivered. Null: it may. <paramref name="isLimited"/>: its sender may send so many bytes a second.
    /// </summary>
    public static async ValueTask<Rejection?> WhenInTurnAsync(Post post, bool isLimited, ServerState server)
    {
        if (isLimited && !await IsInRateAsync(post, server).ConfigureAwait(false))
            return Rejections.SenderTooFast;
        bool hasRoom = post.MustKeepUp is not { Sink.IsBehind: true } receiver || await WhenRoomAsync(receiver, server).ConfigureAwait(false);
        return hasRoom ? null : Rejections.ReceiverBehind;
    }

    /// <summary>Waits until more may be sent to <paramref name="peer"/>. False: it reads, but not fast enough.</summary>
    public static async ValueTask<bool> WhenRoomAsync(Peer peer, ServerState server)
    {
        long start = server.Options.TimeProvider.GetTimestamp();
        while (RoomOf(peer.Sink) is { } room)
        {
            TimeSpan left = LongestWait - server.Options.TimeProvider.GetElapsedTime(start);
            if (left <= TimeSpan.Zero)
                return false;
            await room.WaitAsync(left, server.Options.TimeProvider, server.StopToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (server.Stopping)
                return true;
        }

        return true;
    }

    private static async ValueTask<bool> IsInRateAsync(Post post, ServerState server)
    {
        long? wait = post.Sender.Rate.Take(post.Frame.Length, server.Clock.Now, server.Options.BytesPerSecondPerPeer);
        if (wait > 0)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(wait.Value), server.Options.TimeProvider, server.StopToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return wait is not null;
    }

    private static Task? RoomOf(FrameSink sink)
    {
        lock (sink)
            return sink.WhenRoom();
    }
}
