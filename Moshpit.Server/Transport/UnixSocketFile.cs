using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Moshpit.Server.Transport;

/// <summary>
/// The file of a listening Unix socket. A socket that a server left behind is replaced; anything else at its path is an error and is left
/// alone. Our own file is removed at the end.
/// </summary>
internal sealed partial class UnixSocketFile : IDisposable
{
    /// <summary>Permissions that a new socket does not get: to be executed, which means nothing.</summary>
    private const uint AllButExecution = 0b001_001_001;

    /// <summary>The mask belongs to the process: two servers must not restore each other's.</summary>
    private static readonly Lock Masking = new();

    private readonly string _path;

    /// <summary>The file that <see cref="Bind"/> created; null before.</summary>
    private FileIdentity? _created;

    private UnixSocketFile(string path) => _path = path;

    /// <summary>Makes sure that a socket can be bound to <paramref name="path"/>.</summary>
    /// <exception cref="IOException">Another server listens there, the file is no socket, or there is no such folder.</exception>
    public static UnixSocketFile Claim(string path)
    {
        if (Directory.Exists(path))
            throw new IOException($"{path} is a directory; name a file for the socket.");
        if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path))))
            throw new IOException($"There is no folder for the socket {path}; create it or name another file.");
        if (new FileInfo(path).LinkTarget is not null)
            throw new IOException($"{path} is a symbolic link and not a socket; name another file or remove it.");
        if (!File.Exists(path))
            return new UnixSocketFile(path);
        if (FileIdentity.Of(path) is not { IsSocket: true } found)
            throw new IOException($"{path} exists and is not a socket that could be replaced; name another file or remove it.");

        if (!IsLeftBehind(path))
            throw new IOException($"Another server listens on {path}; stop it or name another file.");

        // Another server that starts just now may have replaced it meanwhile.
        if (FileIdentity.Of(path) != found || !Delete(path))
            throw new IOException($"{path} was left behind and may not be replaced; remove it.");
        return new UnixSocketFile(path);
    }

    /// <summary>
    /// Binds <paramref name="socket"/> to <paramref name="endPoint"/>, which is this file's. Every user of this machine may connect, as
    /// to a port.
    /// </summary>
    /// <remarks>
    /// Linux gives the file its permissions when it creates it. To set them afterwards, by path, would change those of any file that was
    /// put in its place. So the mask of the process says them. Files that other threads create meanwhile get it too: for microseconds.
    /// </remarks>
    public void Bind(Socket socket, UnixListenEndPoint endPoint)
    {
        if (OperatingSystem.IsWindows())
        {
            endPoint.Bind(socket);
        }
        else
        {
            lock (Masking)
            {
                uint mask = SetMask(AllButExecution);
                try
                {
                    endPoint.Bind(socket);
                }
                finally
                {
                    _ = SetMask(mask);
                }
            }
        }

        _created = FileIdentity.Of(_path);
    }

    /// <summary>Removes the file, if it is ours.</summary>
    public void Dispose()
    {
        if (_created is not { IsSocket: true } || FileIdentity.Of(_path) != _created)
            return;
        _created = null;

        // After dropping permissions the folder may not be ours to change; the next start replaces the stale file.
        Delete(_path);
    }

    /// <summary>No server listens on the socket at <paramref name="path"/>.</summary>
    /// <exception cref="IOException">That can't be found out.</exception>
    private static bool IsLeftBehind(string path)
    {
        try
        {
            // Not blocking: where a server listens and does not accept, a connection would wait for it.
            using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return false;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode switch
            {
                SocketError.ConnectionRefused => true,

                // The server has not accepted those that came before.
                SocketError.WouldBlock or SocketError.InProgress => false,
                _ => throw new IOException($"Cannot find out whether a server listens on {path}: {e.Message}.", e),
            };
        }
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

    [LibraryImport("libc", EntryPoint = "umask")]
    private static partial uint SetMask(uint mask);
}
