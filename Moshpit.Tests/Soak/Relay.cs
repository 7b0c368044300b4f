using System.Net;
using System.Net.Sockets;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Soak;

/// <summary>
/// A bad way to a server on loopback: it forwards the bytes of each connection in both directions, and does to the connection what its
/// <see cref="Cut"/> says.
/// </summary>
/// <param name="port">Of the server.</param>
/// <param name="happened">Hears of each cut when it is done.</param>
internal sealed class Relay(int port, Action<Cut> happened) : IDisposable
{
    private const int PieceLength = 16 * 1024;

    private readonly Lock _gate = new();
    private readonly Socket _listener = Listen();

    /// <summary>A connection to the server that suffers <paramref name="cut"/>.</summary>
    public RawConnection Connect(Cut cut) => Connect(cut, at => RawConnection.Connect(at, mayBreak: true));

    /// <inheritdoc cref="Connect(Cut)"/>
    public Stream ConnectStream(Cut cut) => Connect(cut, at =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Connect(at);
        return new NetworkStream(socket, ownsSocket: true);
    });

    private T Connect<T>(Cut cut, Func<EndPoint, T> connect)
    {
        T client;
        Socket front;
        lock (_gate)
        {
            client = connect(_listener.LocalEndPoint!);
            front = _listener.Accept();
        }

        front.NoDelay = true;
        var back = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        back.Connect(IPAddress.Loopback, port);
        var link = new Link(front, back, cut, happened);
        _ = link.RunAsync();
        return client;
    }

    public void Dispose() => _listener.Dispose();

    private static Socket Listen()
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        return listener;
    }

    /// <summary>One connection of a client, and the one to the server that belongs to it.</summary>
    private sealed class Link(Socket front, Socket back, Cut cut, Action<Cut> happened)
    {
        /// <summary>What still comes is dropped, in both directions.</summary>
        private volatile bool _swallows;

        public async Task RunAsync()
        {
            await Task.WhenAll(ForwardAsync(front, back, cut.OfRequest), ForwardAsync(back, front, !cut.OfRequest));
            front.Dispose();
            back.Dispose();
        }

        private async Task ForwardAsync(Socket from, Socket to, bool isCut)
        {
            byte[] buffer = new byte[PieceLength];
            long left = isCut && cut.Kind != CutKind.None ? cut.After : long.MaxValue;
            try
            {
                int count;
                while ((count = await from.ReceiveAsync(buffer)) > 0)
                {
                    Memory<byte> piece = buffer.AsMemory(0, count);
                    bool counts = left != long.MaxValue && cut.IsArmed;
                    if (counts && left > 0 && count >= left)
                    {
                        await SendAsync(to, piece[..(int)left]);
                        piece = piece[(int)left..];
                        left = -1;
                        happened(cut);
                        await CutAsync(to);
                    }

                    if (left > 0)
                    {
                        await SendAsync(to, piece);
                        left -= counts ? count : 0;
                    }
                    else if (cut.Kind != CutKind.HalfClose)
                    {
                        await SendLateAsync(to, piece);
                    }
                }

                if (!_swallows)
                    to.Shutdown(SocketShutdown.Send);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // A reset of one side is a reset of the other. In a silence the other side notices nothing.
                if (cut.Kind != CutKind.Silence || !_swallows)
                    Reset(to);
            }
        }

        private async Task CutAsync(Socket to)
        {
            _swallows = cut.Kind is CutKind.Reset or CutKind.Finish or CutKind.Silence;
            switch (cut.Kind)
            {
                case CutKind.Reset:
                    Reset(front);
                    Reset(back);
                    break;
                case CutKind.Finish:
                    front.Shutdown(SocketShutdown.Send);
                    back.Shutdown(SocketShutdown.Send);
                    break;
                case CutKind.HalfClose:
                    to.Shutdown(SocketShutdown.Send);
                    break;
                case CutKind.Silence:
                    await Task.Delay(cut.Milliseconds);
                    Reset(front);
                    await Task.Delay(cut.Milliseconds);
                    Reset(back);
                    break;
            }
        }

        private async Task SendAsync(Socket to, ReadOnlyMemory<byte> bytes)
        {
            while (!_swallows && !bytes.IsEmpty)
                bytes = bytes[await to.SendAsync(bytes)..];
        }

        private async Task SendLateAsync(Socket to, ReadOnlyMemory<byte> bytes)
        {
            if (cut.Kind == CutKind.Delay)
                await Task.Delay(cut.Milliseconds);
            int length = cut.Kind == CutKind.SingleBytes ? 1 : Math.Max(1, bytes.Length);
            for (int sent = 0; sent < bytes.Length; sent += length)
                await SendAsync(to, bytes.Slice(sent, length));
        }

        private static void Reset(Socket socket)
        {
            try
            {
                socket.LingerState = new LingerOption(true, 0);
                socket.Dispose();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // It is closed already.
            }
        }
    }
}
