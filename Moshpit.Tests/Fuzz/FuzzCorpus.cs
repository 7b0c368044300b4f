using System.Text;

namespace Moshpit.Tests.Fuzz;

/// <summary>The files of <c>Fuzz/Corpus</c>: a folder for each target, of inputs that once led somewhere.</summary>
internal static class FuzzCorpus
{
    public static string Folder(FuzzTarget target) => Path.Combine(AppContext.BaseDirectory, "Fuzz", "Corpus", target.Name);

    public static IEnumerable<string> Files(FuzzTarget target) =>
        Directory.Exists(Folder(target)) ? Directory.EnumerateFiles(Folder(target)).Order(StringComparer.Ordinal) : [];

    /// <summary>Writes a failing input where the test run keeps its files; says where.</summary>
    public static string SaveFailure(FuzzTarget target, byte[] input)
    {
        string path = Save(Path.Combine(TestContext.CurrentContext.WorkDirectory, "fuzz-failures", target.Name), input);
        return $"The input is in {path}: copy it to Moshpit.Tests/Fuzz/Corpus/{target.Name} when it is understood. " +
            $"As Latin-1: {Quote(input)}";
    }

    /// <summary>Writes an input to a folder, under a name that it alone has.</summary>
    public static string Save(string folder, byte[] input)
    {
        Directory.CreateDirectory(folder);
        string path = Path.Combine(folder, $"{Fnv.Hash(input):x8}");
        File.WriteAllBytes(path, input);
        return path;
    }

    private static string Quote(byte[] input)
    {
        var quoted = new StringBuilder("\"");
        foreach (byte octet in input.Take(400))
            quoted.Append(octet is >= 32 and < 127 and not (byte)'"' and not (byte)'\\' ? ((char)octet).ToString() : $"\\x{octet:x2}");
        return quoted.Append(input.Length > 400 ? "\"..." : "\"").ToString();
    }
}
