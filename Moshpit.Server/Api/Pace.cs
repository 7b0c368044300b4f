using Moshpit.Server.Channels;
using Moshpit.Server.Http;
using Moshpit.Server.Limits;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>
/// Holds up a sender that is faster than it may be, or than a peer reads that must not be lost, and a peer that joins a channel whose owner
/// has too much to hear. Each waits for a bounded time, and is refused then. A peer that does not read delays no other client: it is cut in
/// its own time.
/// </summary>
internal sealed class Pace(MoshpitServerOptions options, ServerClock clock, Shutdown shutdown)
{
    /// <summary>How long anything waits.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(SendRate.LongestWait);

    /// <summary>
    /// Waits until <paramref name="publication"/> may be delivered. Null: it may. <paramref name="isLimited"/>: its sender may send so many
    /// bytes a second.
    /// </summary>
    public async ValueTask<Rejection?> WhenInTurnAsync(Publication publication, bool isLimited)
    {
        if (isLimited && !await IsInRateAsync(publication).ConfigureAwait(false))
            return ApiRejections.SenderTooFast;
        bool hasRoom = publication.MustKeepUp is not { IsBehind: true } receiver || await WhenRoomAsync(receiver).ConfigureAwait(false);
        return hasRoom ? null : ApiRejections.ReceiverBehind;
    }

    /// <summary>Waits until more may be sent to <paramref name="peer"/>. False: it reads, but not fast enough.</summary>
    public async ValueTask<bool> WhenRoomAsync(Peer peer)
    {
        long start = options.TimeProvider.GetTimestamp();
        while (peer.WhenRoom() is { } room)
        {
            TimeSpan left = LongestWait - options.TimeProvider.GetElapsedTime(start);
            if (left <= TimeSpan.Zero)
                return false;
            await room.WaitAsync(left, options.TimeProvider, shutdown.Begun).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (shutdown.HasBegun)
                return true;
        }

        return true;
    }

    private async ValueTask<bool> IsInRateAsync(Publication publication)
    {
        long? wait = publication.Sender.Rate.Take(publication.Frame.Length, clock.Now, options.BytesPerSecondPerPeer);
        if (wait > 0)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(wait.Value), options.TimeProvider, shutdown.Begun)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return wait is not null;
    }
}
