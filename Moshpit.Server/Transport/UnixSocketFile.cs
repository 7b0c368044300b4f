using System.Net.Sockets;

namespace Moshpit.Server.Transport;

/// <summary>The file of a listening Unix socket: a stale one is replaced, a live one is an error, our own is removed at the end.</summary>
internal sealed class UnixSocketFile : IDisposable
{
    private const UnixFileMode ForAll = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    private readonly string _path;
    private bool _created;

    private UnixSocketFile(string path) => _path = path;

    /// <summary>Makes sure that a socket can be bound to <paramref name="path"/>.</summary>
    /// <exception cref="IOException">Another server listens there, or the file is no socket.</exception>
    public static UnixSocketFile Claim(string path)
    {
        if (!File.Exists(path))
            return Directory.Exists(path) ? throw new IOException($"{path} is a directory; name a file for the socket.") : new(path);

        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused && IsSocket(path))
        {
            // Nobody listens: what a server that died left behind.
            return Delete(path) ? new UnixSocketFile(path) : throw new IOException($"{path} was left behind and may not be replaced; remove it.");
        }
        catch (SocketException)
        {
            throw new IOException($"{path} exists and is not a socket that could be replaced; name another file or remove it.");
        }

        throw new IOException($"Another server listens on {path}; stop it or name another file.");
    }

    /// <summary>The file is there now and is ours: lets everybody on this machine connect, as to a port.</summary>
    public void Created()
    {
        _created = true;
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(_path, ForAll);
    }

    /// <summary>Removes the file, if it is ours.</summary>
    public void Dispose()
    {
        if (!_created)
            return;
        _created = false;

        // After dropping permissions the folder may not be ours to change; the next start replaces the stale file.
        Delete(_path);
    }

    private static bool Delete(string path)
    {
        try
        {
            File.Delete(path);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>
    /// A file of ordinary bytes refuses connections too, and must never be deleted. Only a socket can't be opened. (For writing too: to open a pipe
    /// for reading alone waits for who writes to it.)
    /// </summary>
    private static bool IsSocket(string path)
    {
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }
}
