using System.Globalization;
using System.Runtime.InteropServices;

namespace Moshpit.Server;

/// <summary>
/// Gives up root after the sockets are bound: supplementary groups, then the group, then the user, and then makes sure that there is no
/// way back. Whatever does not work throws; a server that was told to drop its permissions never runs with them.
/// </summary>
internal static partial class Privileges
{
    /// <summary>Finds the ids that are meant, before anything is bound. Null where nothing is to be dropped.</summary>
    /// <param name="user">A user's name or number.</param>
    /// <param name="group">A group's name or number; null for the user's own.</param>
    /// <exception cref="ArgumentException">There is no such user or group.</exception>
    public static Identity? Find(string? user, string? group)
    {
        if (user is null && group is null)
            return null;
        if (OperatingSystem.IsWindows())
            throw new ArgumentException("--uid and --gid don't exist on Windows; run the server under the account that it should have.");
        uint? uid = null;
        uint? gid = null;
        if (user is not null)
        {
            Account? account = TryReadId(user, out uint number) ? ReadAccount(GetUserById(number)) : ReadAccount(GetUserByName(user));
            if (account is null && !TryReadId(user, out _))
                throw new ArgumentException($"There is no user '{user}'; give --uid the name or number of one that exists.");
            if (account is null && group is null)
                throw new ArgumentException($"User {user} has no account that would say its group; give --gid as well.");
            uid = account?.Uid ?? number;
            gid = account?.Gid;
        }

        if (group is not null)
            gid = TryReadId(group, out uint number) ? number : ReadGroup(GetGroupByName(group))
                ?? throw new ArgumentException($"There is no group '{group}'; give --gid the name or number of one that exists.");
        return new Identity(uid, gid!.Value);
    }

    /// <summary>Becomes <paramref name="identity"/> for good.</summary>
    /// <exception cref="InvalidOperationException">The system refused; the process must not go on.</exception>
    public static void Drop(Identity identity)
    {
        uint[] groups = [identity.Gid];
        Check(SetGroups((nint)groups.Length, groups), "setgroups", identity);
        Check(SetGid(identity.Gid), "setgid", identity);
        if (identity.Uid is not { } uid)
            return;
        Check(SetUid(uid), "setuid", identity);
        if (uid != 0 && (SetUid(0) == 0 || GetEffectiveUid() != uid))
            throw new InvalidOperationException($"Dropping to uid {uid} could be undone; this system does not drop permissions for good.");
    }

    /// <summary>Digits and nothing else; a name may hold almost anything.</summary>
    private static bool TryReadId(string text, out uint id) => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out id);

    private static void Check(int result, string call, Identity identity)
    {
        if (result != 0)
            throw new InvalidOperationException(
                $"Cannot drop to {identity}: {call} failed ({Marshal.GetLastPInvokeErrorMessage()}); "
                + "start as root, or leave out --uid and --gid.");
    }

    // The C library's struct passwd begins like this everywhere; its strings and the rest are not needed.
    private static Account? ReadAccount(nint passwd) => passwd == 0 ? null : Marshal.PtrToStructure<Account>(passwd);

    private static uint? ReadGroup(nint group) => group == 0 ? null : Marshal.PtrToStructure<Group>(group).Gid;

    [LibraryImport("libc", EntryPoint = "getpwnam", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint GetUserByName(string name);

    [LibraryImport("libc", EntryPoint = "getpwuid")]
    private static partial nint GetUserById(uint uid);

    [LibraryImport("libc", EntryPoint = "getgrnam", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint GetGroupByName(string name);

    [LibraryImport("libc", EntryPoint = "setgroups", SetLastError = true)]
    private static partial int SetGroups(nint count, uint[] groups);

    [LibraryImport("libc", EntryPoint = "setgid", SetLastError = true)]
    private static partial int SetGid(uint gid);

    [LibraryImport("libc", EntryPoint = "setuid", SetLastError = true)]
    private static partial int SetUid(uint uid);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetEffectiveUid();

    /// <summary>The user and groups to become.</summary>
    internal sealed record Identity(uint? Uid, uint Gid)
    {
        public override string ToString() => Uid is null ? $"gid {Gid}" : $"uid {Uid}, gid {Gid}";
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Account
    {
        private readonly nint _name;
        private readonly nint _password;
        public readonly uint Uid;
        public readonly uint Gid;
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Group
    {
        private readonly nint _name;
        private readonly nint _password;
        public readonly uint Gid;
    }
}
