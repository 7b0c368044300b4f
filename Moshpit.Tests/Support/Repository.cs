namespace Moshpit.Tests.Support;

/// <summary>The repository that the tests were built in.</summary>
internal static class Repository
{
    /// <summary>The folder that holds the solution.</summary>
    public static string Root { get; } = FindRoot();

    private static string FindRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "moshpit.sln")))
            folder = folder.Parent ?? throw new FileNotFoundException("moshpit.sln is in no folder above the tests.");
        return folder.FullName;
    }
}
