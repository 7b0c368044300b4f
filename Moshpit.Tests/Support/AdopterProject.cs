namespace Moshpit.Tests.Support;

/// <summary>A project with the client's file in it, as a user has one.</summary>
internal static class AdopterProject
{
    /// <summary>
    /// Builds the sources that <paramref name="folder"/> holds together with the client's file, as C# 9, with warnings as errors.
    /// </summary>
    /// <param name="folder">Gets the project.</param>
    /// <param name="patience">How long that may take.</param>
    /// <param name="properties">Of the project, as elements of MSBuild.</param>
    public static Task<ProgramRun> BuildAsync(TempFolder folder, TimeSpan patience, string properties)
    {
        File.Copy(Path.Combine(Repository.Root, "Moshpit.Client", "MoshpitClient.cs"), folder["MoshpitClient.cs"]);
        File.Copy(Path.Combine(Repository.Root, "global.json"), folder["global.json"]);
        File.WriteAllText(folder["Directory.Build.props"], "<Project />");
        File.WriteAllText(folder["adopter.csproj"], $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <LangVersion>9.0</LangVersion>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                <NuGetAudit>false</NuGetAudit>
                {properties}
              </PropertyGroup>
            </Project>
            """);

        // Servers of the compiler and of MSBuild would outlive the test and keep its outputs open.
        return ProgramRun.ToEndAsync(
            patience, folder[""], Counterpart.Program("the .NET SDK", "dotnet"),
            "build", "-c", "Release", "-nologo", "-clp:NoSummary", "-nodeReuse:false", "-p:UseSharedCompilation=false");
    }
}
