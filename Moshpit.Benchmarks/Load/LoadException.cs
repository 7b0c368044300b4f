namespace Moshpit.Benchmarks.Load;

/// <summary>The server did not do what a load needs; the message says what, in a line for the user.</summary>
internal sealed class LoadException(string message) : Exception(message);
