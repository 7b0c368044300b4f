using System.Diagnostics;

namespace Moshpit.Tests.Support;

/// <summary>A program that was run to its end, and what it wrote.</summary>
internal sealed record ProgramRun(int Status, string Output, string Errors)
{
    /// <summary>
    /// Runs <paramref name="program"/> in <paramref name="folder"/>. After <paramref name="patience"/> its processes are killed and the
    /// test fails.
    /// </summary>
    public static async Task<ProgramRun> ToEndAsync(TimeSpan patience, string folder, string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        try
        {
            await Task.WhenAll(output, errors, process.WaitForExitAsync()).WaitAsync(patience);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }

        return new ProgramRun(process.ExitCode, await output, await errors);
    }
}
