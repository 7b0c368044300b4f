using System.Globalization;

namespace Moshpit.Tests.Support;

/// <summary>
/// A memory control group for one test, as a container has it. Making one takes root and a writable <c>/sys/fs/cgroup</c>.
/// </summary>
internal sealed class MemoryGroup : IDisposable
{
    private const string Root = "/sys/fs/cgroup";

    private readonly DirectoryInfo _folder;

    private MemoryGroup(DirectoryInfo folder) => _folder = folder;

    /// <summary>A group whose processes may use so many bytes together; null where none can be made.</summary>
    public static MemoryGroup? TryCreate(long bytes)
    {
        string name = $"moshpit-test-{Environment.ProcessId}";
        (string Parent, string Limit)[] versions = [(Root + "/memory", "memory.limit_in_bytes"), (Root, "memory.max")];
        foreach ((string parent, string limit) in versions)
        {
            if (!Directory.Exists(parent))
                continue;
            try
            {
                DirectoryInfo folder = Directory.CreateDirectory(Path.Combine(parent, name));
                string file = Path.Combine(folder.FullName, limit);
                if (File.Exists(file))
                {
                    File.WriteAllText(file, bytes.ToString(CultureInfo.InvariantCulture));
                    return new MemoryGroup(folder);
                }

                folder.Delete();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // No root, or a group that may have no children.
            }
        }

        return null;
    }

    /// <summary>The command by which a shell enters the group.</summary>
    public string Enter => $"echo $$ >{_folder.FullName}/cgroup.procs;";

    /// <summary>Removes the group, whose processes have ended.</summary>
    public void Dispose() => _folder.Delete();
}
