using System.Runtime.InteropServices;

namespace Moshpit.Server;

/// <summary>
/// Standard input, output and error, which a program may be started without. What is written there reports on the server, so it never ends
/// it and never holds it up.
/// </summary>
internal static partial class StandardStreams
{
    /// <summary>How long a reader may take for a few lines.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Gives each of the descriptors 0 to 2 that is closed to <c>/dev/null</c>. Otherwise the next file or socket that is opened would get
    /// it, and what is written to the console would go there. To be called before anything is opened.
    /// </summary>
    public static void Secure()
    {
        const int GetDescriptorFlags = 1; // F_GETFD
        const int CloseOnExec = 1; // FD_CLOEXEC
        const int ReadWrite = 2; // O_RDWR
        if (OperatingSystem.IsWindows())
            return;
        for (int descriptor = 0; descriptor <= 2; descriptor++)
        {
            int flags = Control(descriptor, GetDescriptorFlags);
            if (flags < 0)
            {
                // The lowest descriptor that is free is this one.
                _ = Open("/dev/null", ReadWrite);
            }
            else if ((flags & CloseOnExec) != 0)
            {
                // No descriptor that is inherited has this flag: it was closed, and the runtime has a file of its own there.
                if (descriptor == 1)
                    Console.SetOut(TextWriter.Null);
                else if (descriptor == 2)
                    Console.SetError(TextWriter.Null);
            }
        }
    }

    /// <summary>Writes lines to standard output. Never throws, and waits for a second at most if they are not read.</summary>
    public static void Print(IEnumerable<string> lines) => Write(static () => Console.Out, lines);

    /// <summary>Writes a sentence to standard error, as <see cref="Print"/> does.</summary>
    public static void Complain(string sentence) => Write(static () => Console.Error, ["moshpit: " + sentence]);

    private static void Write(Func<TextWriter> writer, IEnumerable<string> lines)
    {
        string text = string.Concat(lines.Select(line => line + Environment.NewLine));
        var writing = new Thread(() =>
        {
            try
            {
                writer().Write(text);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
            {
                // A full disk, or closed: there is no other place to say so.
            }
        })
        { IsBackground = true };
        writing.Start();
        writing.Join(Patience);
    }

    [LibraryImport("libc", EntryPoint = "fcntl")]
    private static partial int Control(int descriptor, int command);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);
}
