namespace Moshpit.Tests.Fuzz;

/// <summary>Something that must hold does not.</summary>
internal sealed class FuzzException(string what) : Exception(what);
