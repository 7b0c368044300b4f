using System.Net.Sockets;

namespace Moshpit.Server.Transport;

/// <summary>The file of a listening Unix socket: a stale one is replaced, a live one is an error, our own is removed at the end.</summary>
internal sealed class UnixSocketFile : IDisposable
{
    private const UnixFileMode ForAll = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    private readonly string _path;

    /// <summary>When the file was created, to the tick: by that it is told from one that somebody has put in its place. Null: it was not.</summary>
    private DateTime? _createdAt;

    private UnixSocketFile(string path) => _path = path;

    /// <summary>Makes sure that a socket can be bound to <paramref name="path"/>.</summary>
    /// <exception cref="IOException">Another server listens there, the file is no socket, or there is no such folder.</exception>
    public static UnixSocketFile Claim(string path)
    {
        if (Directory.Exists(path))
            throw new IOException($"{path} is a directory; name a file for the socket.");
        if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path))))
            throw new IOException($"There is no folder for the socket {path}; create it or name another file.");
        if (!File.Exists(path))
            return new UnixSocketFile(path);

        // Not blocking: where a server listens and does not accept, a connection would wait for it.
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused && IsSocket(path))
        {
            // Nobody listens: what a server that died left behind.
            return Delete(path) ? new UnixSocketFile(path) : throw new IOException($"{path} was left behind and may not be replaced; remove it.");
        }
        catch (SocketException e) when (e.SocketErrorCode is not (SocketError.WouldBlock or SocketError.InProgress))
        {
            throw new IOException($"{path} exists and is not a socket that could be replaced; name another file or remove it.");
        }

        catch (SocketException)
        {
            // It has not accepted those who came before.
        }

        throw new IOException($"Another server listens on {path}; stop it or name another file.");
    }

    /// <summary>The file is there now and is ours: lets everybody on this machine connect, as to a port.</summary>
    public void Created()
    {
        _createdAt = File.GetLastWriteTimeUtc(_path);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(_path, ForAll);
    }

    /// <summary>Removes the file, if it is ours.</summary>
    public void Dispose()
    {
        if (_createdAt is null || File.GetLastWriteTimeUtc(_path) != _createdAt)
            return;
        _createdAt = null;

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
