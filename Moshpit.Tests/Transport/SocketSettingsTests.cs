using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Moshpit.Server.Transport;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Transport;

/// <summary>What the kernel is told about every accepted connection.</summary>
[Platform("Linux")]
internal sealed class SocketSettingsTests
{
    private const int TcpLevel = 6;
    private const int UserTimeout = 18;

    [TestCase(20_000)]
    [TestCase(1234)]
    public async Task A_peer_that_vanished_is_given_up_by_the_kernel_after_the_time_in_the_options(int milliseconds)
    {
        Assert.That(await AcceptAsync(0, milliseconds, socket => BitConverter.ToInt32(Option(socket, TcpLevel, UserTimeout))),
            Is.EqualTo(milliseconds));
    }

    [Test]
    public async Task What_the_kernel_keeps_for_a_slow_peer_is_bounded_by_the_options()
    {
        // Linux doubles what is asked for.
        Assert.That(await AcceptAsync(64 * 1024, 1000, socket => socket.SendBufferSize), Is.EqualTo(2 * 64 * 1024));
        int systems = await AcceptAsync(0, 1000, socket => socket.SendBufferSize);
        Assert.That(systems, Is.Not.EqualTo(2 * 64 * 1024), "0 leaves it to the system");
    }

    [Test]
    public async Task Accepted_sockets_never_block_and_send_at_once()
    {
        Assert.That(await AcceptAsync(0, 1000, socket => (socket.Blocking, socket.NoDelay)), Is.EqualTo((false, true)));
    }

    [Test]
    public async Task A_server_gives_its_streams_what_its_options_say()
    {
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.UnacknowledgedTimeout = TimeSpan.FromSeconds(7);
            options.SendBuffer = 30_000;
        });
        using RawPeer owner = await server.CreateAsync();
        Socket socket = SocketOf(await server.StreamAsync());
        Assert.That(BitConverter.ToInt32(Option(socket, TcpLevel, UserTimeout)), Is.EqualTo(7000));
        Assert.That(socket.SendBufferSize, Is.EqualTo(60_000));
    }

    private static byte[] Option(Socket socket, int level, int name)
    {
        byte[] value = new byte[sizeof(int)];
        Assert.That(socket.GetRawSocketOption(level, name, value), Is.EqualTo(value.Length));
        return value;
    }

    /// <summary>Looks at a socket that was accepted with these settings.</summary>
    private static async Task<T> AcceptAsync<T>(int sendBuffer, int milliseconds, Func<Socket, T> look)
    {
        var looked = new TaskCompletionSource<T>();
        void Accepted(Socket socket)
        {
            using (socket)
                looked.TrySetResult(look(socket));
        }

        var settings = new SocketSettings(sendBuffer, TimeSpan.FromMilliseconds(milliseconds));
        await using Listener listener = Listener.Bind(
            new IPEndPoint(IPAddress.Loopback, 0), settings, Accepted, TimeProvider.System, new ErrorLog());
        listener.Start();
        using RawConnection client = RawConnection.Connect(listener.EndPoint);
        return await looked.Task.WaitAsync(RawConnection.Patience);
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_socket")]
    private static extern ref Socket SocketOf(EventStreamConnection stream);
}
