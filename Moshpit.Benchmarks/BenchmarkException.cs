namespace Moshpit.Benchmarks;

/// <summary>Nothing can be measured: a server did not do what it must. The message says what, in a line for the user.</summary>
internal sealed class BenchmarkException(string message) : Exception(message);
