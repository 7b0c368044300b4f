using System.Globalization;

namespace Moshpit.Server.Transport;

/// <summary>
/// How many connections the process's descriptors allow. Accepting until there are none left would starve whatever else needs one, down to the
/// runtime itself, which ends the process when its compiler can't get any.
/// </summary>
internal static class DescriptorLimit
{
    private const int LeastReserve = 32;
    private const int MostReserve = 256;

    /// <summary>The limit less what is open now and a reserve for everything else that is no connection; <see cref="int.MaxValue"/> where it is unknown (it is known on Linux).</summary>
    public static int Connections()
    {
        try
        {
            return ConnectionsOf(File.ReadAllText("/proc/self/limits"), Directory.GetFileSystemEntries("/proc/self/fd").Length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return int.MaxValue;
        }
    }

    /// <summary>As <see cref="Connections"/>, from the text of <c>/proc/PID/limits</c> (proc(5)): a table of name, soft limit, hard limit and unit.</summary>
    public static int ConnectionsOf(string limits, int open)
    {
        const string Name = "Max open files";
        string? line = limits.Split('\n').FirstOrDefault(line => line.StartsWith(Name, StringComparison.Ordinal));
        string? soft = line?[Name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
        return int.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out int limit)
            ? Math.Max(1, limit - open - Math.Clamp(limit / 8, LeastReserve, MostReserve))
            : int.MaxValue;
    }
}
