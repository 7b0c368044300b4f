using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Moshpit.Benchmarks.Polling;

/// <summary>
/// Waits for thousands of sockets on one thread. The runtime's own engine would hand each event to the thread pool, and the benchmark
/// would measure that; here an event costs a share of one system call. Linux only.
/// </summary>
internal sealed unsafe class Epoll : IDisposable
{
    private const int MaxEvents = 512;
    private const int CloseOnExec = 0x80000;
    private const int AddOperation = 1;
    private const int ModifyOperation = 3;
    private const int Readable = 1;
    private const int Writable = 4;
    private const int ErrorInterrupted = 4;
    private const long NanosecondsPerMillisecond = 1_000_000;
    private const long NanosecondsPerSecond = 1_000_000_000;

    // struct epoll_event { uint32_t events; uint64_t data; } is packed on x86-64, and nowhere else.
    private static readonly int EventSize = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int DataOffset = EventSize - sizeof(long);

    private readonly int _epoll;
    private readonly byte[] _events = GC.AllocateUninitializedArray<byte>(MaxEvents * EventSize, pinned: true);
    private readonly List<PolledSocket?> _sockets = [];
    private readonly Stack<int> _free = new();

    public Epoll()
    {
        if (!OperatingSystem.IsLinux())
            throw new PlatformNotSupportedException("The benchmarks need Linux: they wait for their sockets with epoll.");
        _epoll = LibC.EpollCreate(CloseOnExec);
        if (_epoll < 0)
            throw new Win32Exception();
    }

    /// <summary>Begins to watch <paramref name="socket"/>, which must not block.</summary>
    public void Add(PolledSocket socket)
    {
        if (!_free.TryPop(out int slot))
        {
            slot = _sockets.Count;
            _sockets.Add(null);
        }

        socket.Slot = slot;
        _sockets[slot] = socket;
        Control(AddOperation, socket, Readable);
    }

    /// <summary>Asks, or no longer asks, to be told of room to write as well.</summary>
    public void WatchWrites(PolledSocket socket, bool watch) => Control(ModifyOperation, socket, watch ? Readable | Writable : Readable);

    /// <summary>Closes <paramref name="socket"/>, which also ends the watch.</summary>
    public void Close(PolledSocket socket)
    {
        if (_sockets[socket.Slot] != socket)
            return;
        _sockets[socket.Slot] = null;
        _free.Push(socket.Slot);
        socket.Dispose();
    }

    /// <summary>Waits up to a time (negative: for ever) and tells each socket that is ready. The number of those.</summary>
    public int Wait(long nanoseconds)
    {
        int milliseconds = nanoseconds < 0 ? -1 : (int)(nanoseconds / NanosecondsPerMillisecond);
        if (nanoseconds > 0 && nanoseconds % NanosecondsPerMillisecond != 0)
        {
            Sleep(nanoseconds);
            milliseconds = 0;
        }

        fixed (byte* events = _events)
        {
            int count = LibC.EpollWait(_epoll, events, MaxEvents, milliseconds);
            if (count < 0)
            {
                if (Marshal.GetLastPInvokeError() == ErrorInterrupted)
                    return 0;
                throw new Win32Exception();
            }

            for (int i = 0; i < count; i++)
            {
                // A slot that was freed and taken again meanwhile is told once too often; its socket then has nothing to read.
                int slot = *(int*)(events + i * EventSize + DataOffset);
                _sockets[slot]?.OnReady();
            }

            return count;
        }
    }

    public void Dispose()
    {
        foreach (PolledSocket? socket in _sockets)
            socket?.Dispose();
        _sockets.Clear();
        _ = LibC.Close(_epoll);
    }

    /// <summary>epoll_wait counts in milliseconds, which is too coarse for a rate; ppoll counts in nanoseconds.</summary>
    private void Sleep(long nanoseconds)
    {
        var descriptor = new LibC.PollDescriptor { Descriptor = _epoll, Events = Readable };
        var timeout = new LibC.TimeSpec { Seconds = nanoseconds / NanosecondsPerSecond, Nanoseconds = nanoseconds % NanosecondsPerSecond };
        _ = LibC.Poll(&descriptor, 1, &timeout, null);
    }

    private void Control(int operation, PolledSocket socket, int events)
    {
        byte* epollEvent = stackalloc byte[EventSize];
        *(int*)epollEvent = events;
        *(long*)(epollEvent + DataOffset) = socket.Slot;
        if (LibC.EpollControl(_epoll, operation, socket.Descriptor, epollEvent) < 0)
            throw new Win32Exception();
    }
}
