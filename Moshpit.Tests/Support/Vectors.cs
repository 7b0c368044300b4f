using System.Text.Json;

namespace Moshpit.Tests.Support;

/// <summary>The cases of <c>Vectors/</c>, whose README explains the fields.</summary>
internal static class Vectors
{
    /// <summary>Where the build copies the cases to.</summary>
    public static string Folder => Path.Combine(AppContext.BaseDirectory, "Vectors");

    /// <summary>The cases of <paramref name="file"/>.</summary>
    public static IReadOnlyList<JsonElement> Read(string file)
    {
        JsonElement[] cases = [.. JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, file))).RootElement.EnumerateArray()];
        Assert.That(cases, Is.Not.Empty, file);
        return cases;
    }
}
