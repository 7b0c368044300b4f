using System.Net.Sockets;

namespace Moshpit.Benchmarks.Polling;

/// <summary>A non-blocking socket in an <see cref="Epoll"/>. All its methods run on the thread that waits there.</summary>
internal abstract class PolledSocket(Socket socket) : IDisposable
{
    public Socket Socket { get; } = socket;

    /// <summary>Its file descriptor.</summary>
    public int Descriptor { get; } = (int)socket.Handle;

    /// <summary>Its place in the <see cref="Epoll"/> that it was added to.</summary>
    public int Slot { get; set; }

    /// <summary>There is something to read (or to hear of: an end, an error), or room to write where that was asked for.</summary>
    public abstract void OnReady();

    public virtual void Dispose() => Socket.Dispose();
}
