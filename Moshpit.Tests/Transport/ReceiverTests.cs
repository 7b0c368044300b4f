using System.Net;
using System.Net.Sockets;
using Moshpit.Server.Transport;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Transport;

internal sealed class ReceiverTests
{
    private Socket _client = null!;
    private Socket _server = null!;

    [SetUp]
    public void Connect()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        _client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _client.Connect(listener.LocalEndPoint!);
        _server = listener.Accept();
        _server.Blocking = false;
    }

    [TearDown]
    public void Close()
    {
        _client.Dispose();
        _server.Dispose();
    }

    [Test]
    public async Task It_ends_when_there_is_something_to_read_and_reads_nothing_itself()
    {
        using var receiver = new Receiver();
        for (int n = 0; n < 3; n++)
        {
            Task<SocketError> wait = receiver.ReceiveAsync(_server, default).AsTask();
            Assert.That(wait.IsCompleted, Is.False);
            Assert.That(receiver.Current, Is.Not.Zero);
            _client.Send("abc"u8);
            Assert.That(await wait.WaitAsync(RawConnection.Patience), Is.EqualTo(SocketError.Success));
            Assert.That(receiver.Current, Is.Zero);
            Assert.That(_server.Receive(new byte[10]), Is.EqualTo(3));
        }
    }

    [Test]
    public async Task It_ends_at_once_when_something_is_there()
    {
        using var receiver = new Receiver();
        _client.Send("abc"u8);
        Assert.That(_server.Poll(RawConnection.Patience, SelectMode.SelectRead), Is.True);
        Assert.That(await receiver.ReceiveAsync(_server, default).AsTask().WaitAsync(RawConnection.Patience),
            Is.EqualTo(SocketError.Success));
    }

    [Test]
    public async Task With_a_buffer_it_receives_what_came()
    {
        using var receiver = new Receiver();
        byte[] buffer = new byte[10];
        Task<SocketError> wait = receiver.ReceiveAsync(_server, buffer).AsTask();
        _client.Send("abc"u8);
        Assert.That(await wait.WaitAsync(RawConnection.Patience), Is.EqualTo(SocketError.Success));
        Assert.That(buffer[..receiver.BytesTransferred], Is.EqualTo("abc"u8.ToArray()));
    }

    [Test]
    public async Task The_end_of_the_stream_is_something_to_read()
    {
        using var receiver = new Receiver();
        Task<SocketError> wait = receiver.ReceiveAsync(_server, default).AsTask();
        _client.Shutdown(SocketShutdown.Send);
        Assert.That(await wait.WaitAsync(RawConnection.Patience), Is.EqualTo(SocketError.Success));
        Assert.That(_server.Receive(new byte[10]), Is.Zero);
    }

    [Test]
    public async Task A_closed_socket_ends_it_with_an_error()
    {
        using var receiver = new Receiver();
        Task<SocketError> wait = receiver.ReceiveAsync(_server, default).AsTask();
        _server.Dispose();
        Assert.That(await wait.WaitAsync(RawConnection.Patience), Is.Not.EqualTo(SocketError.Success));
    }

    [Test]
    public async Task It_can_be_expired_and_is_then_not_to_be_used_again()
    {
        using var receiver = new Receiver();
        Task<SocketError> wait = receiver.ReceiveAsync(_server, default).AsTask();
        receiver.Expire(receiver.Current);
        Assert.That(await wait.WaitAsync(RawConnection.Patience), Is.EqualTo(SocketError.TimedOut));
        Assert.That(receiver.Abandoned, Is.True);

        // What was left behind ends with the socket and tells of nothing.
        _server.Dispose();
        Assert.That(receiver.Current, Is.Zero);
    }

    [Test]
    public async Task A_wait_that_is_over_can_no_longer_be_expired_nor_can_the_next_by_its_number()
    {
        using var receiver = new Receiver();
        receiver.Expire(0);
        Task<SocketError> wait = receiver.ReceiveAsync(_server, default).AsTask();
        int old = receiver.Current;
        _client.Send("a"u8);
        await wait.WaitAsync(RawConnection.Patience);
        receiver.Expire(old);
        _server.Receive(new byte[1]);

        wait = receiver.ReceiveAsync(_server, default).AsTask();
        receiver.Expire(old);
        Assert.That(wait.IsCompleted, Is.False);
        Assert.That(receiver.Abandoned, Is.False);
        _client.Send("b"u8);
        Assert.That(await wait.WaitAsync(RawConnection.Patience), Is.EqualTo(SocketError.Success));
    }

    [Test]
    public async Task When_data_and_deadline_come_together_exactly_one_of_them_ends_the_wait()
    {
        for (int round = 0; round < 200; round++)
        {
            using var receiver = new Receiver();
            Task<SocketError> wait = receiver.ReceiveAsync(_server, default).AsTask();
            int current = receiver.Current;
            Task expiring = Task.Run(() => receiver.Expire(current));
            _client.Send("a"u8);
            SocketError error = await wait.WaitAsync(RawConnection.Patience);
            await expiring;
            Assert.That(error, Is.EqualTo(receiver.Abandoned ? SocketError.TimedOut : SocketError.Success));
            if (receiver.Abandoned)
            {
                Close();
                Connect();
            }
            else
            {
                _server.Receive(new byte[1]);
            }
        }
    }
}
