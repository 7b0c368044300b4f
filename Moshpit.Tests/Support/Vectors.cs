using System.Text.Json;

namespace Moshpit.Tests.Support;

/// <summary>The test data that lives beside a developer's checkout and that users don't have.</summary>
internal static class Vectors
{
    /// <summary>The cases of <paramref name="file"/>; the calling test is skipped with a message where the folder is absent.</summary>
    public static IReadOnlyList<JsonElement> Read(string file)
    {
        string? path = Find(Path.Combine("shared", "vectors", file));
        if (path is null)
            Assert.Ignore($"shared/vectors/{file} is not beside this checkout; it is not part of the repository.");
        return [.. JsonDocument.Parse(File.ReadAllBytes(path!)).RootElement.EnumerateArray()];
    }

    private static string? Find(string relative)
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string candidate = Path.Combine(folder.FullName, relative);
            if (File.Exists(candidate))
                return candidate;
        }

        return null;
    }
}
