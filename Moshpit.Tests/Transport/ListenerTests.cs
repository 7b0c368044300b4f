using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Moshpit.Server.Transport;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Transport;

internal sealed class ListenerTests
{
    private static readonly TimeSpan Backoff = TimeSpan.FromMilliseconds(100);

    /// <remarks>
    /// A listening socket that is shut down fails each accept, as one does for which there is no descriptor left; on Linux it can be made
    /// to listen again.
    /// </remarks>
    [Test]
    [Platform("Linux")]
    public async Task While_it_can_not_accept_it_waits_and_says_so_once_and_then_accepts_all_that_came()
    {
        var clock = new CountingClock();
        var log = new ErrorLog(LogLevel.Warning);
        Channel<Socket> accepted = Channel.CreateUnbounded<Socket>();
        var settings = new SocketSettings(0, TimeSpan.FromSeconds(20));
        await using Listener listener = Listener.Bind(
            new IPEndPoint(IPAddress.Loopback, 0), settings, socket => accepted.Writer.TryWrite(socket), clock, log);
        listener.Start();
        using (RawConnection.Connect(listener.EndPoint))
            (await accepted.Reader.ReadAsync()).Dispose();

        Socket listening = SocketOf(listener);
        listening.Shutdown(SocketShutdown.Receive);
        await Eventually.AsyncTrue(() => log.Lines.Count == 1);
        Assert.That(log.Lines.Single(), Does.StartWith("100 Accepting a connection failed").And.Contain("retrying every 100 ms"));
        for (int tries = 1; tries < 20; tries++)
        {
            int due = tries;
            await Eventually.AsyncTrue(() => clock.Waits == due);
            clock.Advance(Backoff);
        }

        // The port that the system once chose it chooses anew, which the old object does not know.
        listening.Listen();
        using var again = new Socket(new SafeSocketHandle(listening.Handle, ownsHandle: false));
        using RawConnection first = RawConnection.Connect(again.LocalEndPoint!);
        using RawConnection second = RawConnection.Connect(again.LocalEndPoint!);
        Task<Socket> next = accepted.Reader.ReadAsync().AsTask();
        while (!next.IsCompleted)
        {
            clock.Advance(Backoff);
            await Task.Yield();
        }

        (await next).Dispose();
        (await accepted.Reader.ReadAsync()).Dispose();
        Assert.That(log.Lines, Has.Count.EqualTo(2));
        Assert.That(log.Lines.Last(), Does.StartWith("101 Accepting connections again."));
    }

    [Test]
    public async Task A_crowd_that_connects_does_not_keep_the_thread()
    {
        const int Crowd = 40;
        int own = Environment.CurrentManagedThreadId, byOwn = 0, all = 0;
        bool starts = true;
        await using Listener listener = Listener.Bind(
            new IPEndPoint(IPAddress.Loopback, 0), new SocketSettings(0, TimeSpan.FromSeconds(20)),
            socket =>
            {
                byOwn += Volatile.Read(ref starts) && Environment.CurrentManagedThreadId == own ? 1 : 0;
                Interlocked.Increment(ref all);
                socket.Dispose();
            },
            TimeProvider.System, NullLogger.Instance);
        RawConnection[] crowd = [.. Enumerable.Range(0, Crowd).Select(_ => RawConnection.Connect(listener.EndPoint))];
        listener.Start();
        Volatile.Write(ref starts, false);
        Assert.That(byOwn, Is.InRange(1, Crowd / 2), "the rest are accepted by another thread, or later");
        await Eventually.AsyncTrue(() => Volatile.Read(ref all) == Crowd);
        foreach (RawConnection connection in crowd)
            connection.Dispose();
    }

    [TestCase(9, 2)]
    [TestCase(10, 4)]
    [Platform("Linux")]
    public async Task When_it_can_and_can_not_accept_in_turn_it_says_so_once_in_ten_seconds(int seconds, int lines)
    {
        var clock = new CountingClock();
        var log = new ErrorLog(LogLevel.Warning);
        Channel<Socket> accepted = Channel.CreateUnbounded<Socket>();
        var settings = new SocketSettings(0, TimeSpan.FromSeconds(20));
        await using Listener listener = Listener.Bind(
            new IPEndPoint(IPAddress.Loopback, 0), settings, socket => accepted.Writer.TryWrite(socket), clock, log);
        Socket listening = SocketOf(listener);
        listener.Start();
        for (int failure = 1; failure <= 2; failure++)
        {
            int due = failure;
            listening.Shutdown(SocketShutdown.Receive);
            await Eventually.AsyncTrue(() => clock.Waits == due);
            listening.Listen();
            using var again = new Socket(new SafeSocketHandle(listening.Handle, ownsHandle: false));
            using RawConnection client = RawConnection.Connect(again.LocalEndPoint!);
            clock.Advance(failure == 1 ? TimeSpan.FromSeconds(seconds) : Backoff);
            (await accepted.Reader.ReadAsync().AsTask().WaitAsync(RawConnection.Patience)).Dispose();
        }

        Assert.That(log.Lines, Has.Count.EqualTo(lines));
    }

    [Test]
    public async Task An_error_of_whoever_takes_the_connections_does_not_end_it()
    {
        var log = new ErrorLog(LogLevel.Warning);
        var accepted = new TaskCompletionSource();
        int calls = 0;
        await using Listener listener = Listener.Bind(
            new IPEndPoint(IPAddress.Loopback, 0),
            new SocketSettings(0, TimeSpan.FromSeconds(20)),
            socket =>
            {
                socket.Dispose();
                if (++calls == 1)
                    throw new InvalidOperationException("the first one");
                accepted.SetResult();
            },
            TimeProvider.System,
            log);
        listener.Start();
        using RawConnection first = RawConnection.Connect(listener.EndPoint);
        using RawConnection second = RawConnection.Connect(listener.EndPoint);
        await accepted.Task.WaitAsync(RawConnection.Patience);
        Assert.That(log.Lines.First(), Does.Contain("the first one"));
    }

    [Test]
    [Platform(Exclude = "Win")]
    public async Task Its_file_goes_before_anybody_can_take_it_for_one_that_was_left_behind()
    {
        using var folder = new TempFolder();
        string path = folder["socket"];
        using var letGo = new ManualResetEventSlim();
        using var held = new SemaphoreSlim(0);
        Listener listener = Listener.Bind(
            new UnixDomainSocketEndPoint(path),
            new SocketSettings(0, TimeSpan.FromSeconds(20)),
            socket =>
            {
                socket.Dispose();
                held.Release();
                letGo.Wait(RawConnection.Patience);
            },
            TimeProvider.System,
            new ErrorLog());
        listener.Start();
        using RawConnection client = RawConnection.Connect(new UnixDomainSocketEndPoint(path));
        Assert.That(await held.WaitAsync(RawConnection.Patience), Is.True);
        Task ending = Task.Run(async () => await listener.DisposeAsync());
        await Eventually.AsyncTrue(() => !File.Exists(path));
        Assert.That(ending.IsCompleted, Is.False, "it waits for the callback that is just taking a connection");
        letGo.Set();
        await ending.WaitAsync(RawConnection.Patience);
    }

    [Test]
    [Platform("Linux")]
    public async Task One_that_can_not_accept_still_ends()
    {
        var log = new ErrorLog(LogLevel.Warning);
        Listener listener = Listener.Bind(
            new IPEndPoint(IPAddress.Loopback, 0), new SocketSettings(0, TimeSpan.FromSeconds(20)), socket => socket.Dispose(),
                new FakeTimeProvider(), log);
        listener.Start();
        SocketOf(listener).Shutdown(SocketShutdown.Receive);
        await Eventually.AsyncTrue(() => log.Lines.Count == 1);
        await listener.DisposeAsync().AsTask().WaitAsync(RawConnection.Patience);
    }

    [Test]
    public void A_socket_that_the_system_does_not_give_is_told_in_a_sentence() => Assert.That(
        () => Listener.Bind(
            new ForeignEndPoint(), new SocketSettings(0, TimeSpan.FromSeconds(20)), socket => socket.Dispose(), TimeProvider.System,
                new ErrorLog()),
        Throws.InstanceOf<IOException>().With.Message.EqualTo("Cannot listen on abroad: this machine does not support such addresses."));

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_socket")]
    private static extern ref Socket SocketOf(Listener listener);

    /// <summary>Of a family that no machine has any more.</summary>
    private sealed class ForeignEndPoint : EndPoint
    {
        public override AddressFamily AddressFamily => AddressFamily.DecNet;

        public override string ToString() => "abroad";
    }
}
