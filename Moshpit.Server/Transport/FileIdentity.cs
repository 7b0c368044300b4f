using System.Runtime.InteropServices;

namespace Moshpit.Server.Transport;

/// <summary>
/// What lies at a path, without following a symbolic link: whether it is a socket, and which file it is, as far as the system tells.
/// </summary>
/// <param name="IsSocket">It is a Unix socket.</param>
/// <param name="Device">The number of its file system; 0 if the system was not asked.</param>
/// <param name="Number">Its number in that file system (its inode); elsewhere than on Linux, when it was last written to.</param>
internal readonly partial record struct FileIdentity(bool IsSocket, ulong Device, ulong Number)
{
    /// <summary>Null if there is nothing at <paramref name="path"/>, or if it can't be found out.</summary>
    public static FileIdentity? Of(string path)
    {
        if (OperatingSystem.IsLinux())
            return OfLinux(path);
        var file = new FileInfo(path);
        return file.Exists && file.LinkTarget is null ? new(CanNotBeOpened(path), 0, (ulong)file.LastWriteTimeUtc.Ticks) : null;
    }

    /// <summary>struct statx of statx(2) has the same layout on every architecture.</summary>
    private static FileIdentity? OfLinux(string path)
    {
        const int CurrentFolder = -100; // AT_FDCWD
        const int NoFollow = 0x100; // AT_SYMLINK_NOFOLLOW
        const uint TypeAndInode = 0x1 | 0x100; // STATX_TYPE | STATX_INO
        const int TypeMask = 0xF000; // S_IFMT
        const int Socket = 0xC000; // S_IFSOCK
        Span<byte> status = stackalloc byte[256];
        if (Statx(CurrentFolder, path, NoFollow, TypeAndInode, ref MemoryMarshal.GetReference(status)) != 0)
            return null;
        bool isSocket = (MemoryMarshal.Read<ushort>(status[28..]) & TypeMask) == Socket; // stx_mode
        ulong device = MemoryMarshal.Read<ulong>(status[136..]); // stx_dev_major, stx_dev_minor
        return new FileIdentity(isSocket, device, MemoryMarshal.Read<ulong>(status[32..])); // stx_ino
    }

    /// <summary>Of all files, only a socket can't be opened for this reason.</summary>
    private static bool CanNotBeOpened(string path)
    {
        const int NotSupported = 102; // EOPNOTSUPP of macOS
        const int CanNotAccess = unchecked((int)0x80070780); // ERROR_CANT_ACCESS_FILE of Windows
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
            return false;
        }
        catch (IOException e)
        {
            return e.HResult is NotSupported or CanNotAccess;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int folder, string path, int flags, uint mask, ref byte status);
}
