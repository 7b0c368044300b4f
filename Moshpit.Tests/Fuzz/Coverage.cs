using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using SharpFuzz.Common;

namespace Moshpit.Tests.Fuzz;

/// <summary>
/// Tells which branches an input takes. The server and the client are copied and instrumented (each branch then counts in a map, as for
/// afl-fuzz), and loaded once more beside the originals together with a copy of this assembly, whose targets run on them. No native
/// engine is needed. One thread at a time: the map is shared.
/// </summary>
internal sealed unsafe class Coverage : AssemblyLoadContext
{
    private const int MapLength = 64 * 1024;

    private static readonly string[] Instrumented = ["moshpit", "Moshpit.Client"];
    private static readonly string[] Namespaces = ["Moshpit.Server.Http.", "Moshpit.Server.Api.", "Moshpit.Server.Sse.", "Moshpit.Client."];
    private static readonly Lazy<Coverage> Only = new(() => new Coverage());

    private readonly Dictionary<string, byte[]> _assemblies = [];
    private readonly byte* _map = (byte*)NativeMemory.AllocZeroed(MapLength);
    private readonly Type _targets;

    private Coverage()
    {
        Trace.SharedMem = _map;
        DirectoryInfo folder = Directory.CreateTempSubdirectory("moshpit-fuzz-");
        foreach (string name in Instrumented)
        {
            string path = Path.Combine(folder.FullName, name + ".dll");
            File.Copy(PathOf(name), path);
            var options = (SharpFuzz.Options)Activator.CreateInstance(typeof(SharpFuzz.Options), nonPublic: true)!;
            _ = SharpFuzz.Fuzzer.Instrument(path, IsTarget, options);
            _assemblies[name] = File.ReadAllBytes(path);
        }

        folder.Delete(recursive: true);

        string tests = typeof(Coverage).Assembly.GetName().Name!;
        _targets = LoadFromStream(new MemoryStream(File.ReadAllBytes(PathOf(tests))))
            .GetType(typeof(FuzzTarget).FullName!, throwOnError: true)!;
    }

    public static Coverage Instance => Only.Value;

    public Func<byte[], string> CheckOf(FuzzTarget target) => (Func<byte[], string>)Call(nameof(FuzzTarget.CheckOf), target);

    public Action<byte[]> ProbeOf(FuzzTarget target) => (Action<byte[]>)Call(nameof(FuzzTarget.ProbeOf), target);

    /// <summary>Forgets what was counted.</summary>
    public void Clear()
    {
        new Span<byte>(_map, MapLength).Clear();
        Trace.PrevLocation = 0;
    }

    /// <summary>Adds what was counted to <paramref name="seen"/>, a bit for each power of two. True: some of it is new.</summary>
    public bool AddTo(byte[] seen)
    {
        bool isNew = false;
        var map = new ReadOnlySpan<byte>(_map, MapLength);
        for (int at = 0; (at = map.IndexOfAnyExcept((byte)0)) >= 0 && at < map.Length; map = map[(at + 1)..])
        {
            int place = MapLength - map.Length + at;
            byte bit = (byte)(1 << byte.Log2(map[at]));
            isNew |= (seen[place] & bit) == 0;
            seen[place] |= bit;
        }

        return isNew;
    }

    public static byte[] NothingSeen() => new byte[MapLength];

    protected override Assembly? Load(AssemblyName assemblyName) =>
        _assemblies.TryGetValue(assemblyName.Name!, out byte[]? bytes) ? LoadFromStream(new MemoryStream(bytes)) : null;

    private static bool IsTarget(string type) => Namespaces.Any(space => type.StartsWith(space, StringComparison.Ordinal));

    private static string PathOf(string name) => Path.Combine(AppContext.BaseDirectory, name + ".dll");

    private object Call(string method, FuzzTarget target) =>
        _targets.GetMethod(method, BindingFlags.Static | BindingFlags.NonPublic)!.Invoke(null, [target.Name])!;
}
