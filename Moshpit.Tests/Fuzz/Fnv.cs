namespace Moshpit.Tests.Fuzz;

/// <summary>A hash that is the same in every process, as the hashes of .NET are not: a run can be repeated.</summary>
internal static class Fnv
{
    public static uint Hash(ReadOnlySpan<byte> bytes)
    {
        uint hash = 2166136261;
        foreach (byte octet in bytes)
            hash = (hash ^ octet) * 16777619;
        return hash;
    }

    public static uint Hash(ReadOnlySpan<char> text)
    {
        uint hash = 2166136261;
        foreach (char c in text)
            hash = (hash ^ c) * 16777619;
        return hash;
    }
}
