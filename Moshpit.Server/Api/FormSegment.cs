namespace Moshpit.Server.Api;

/// <summary>One step of a key such as <c>data[a][0]</c>: into an array where <paramref name="IsIndex"/>, else into an object.</summary>
internal readonly record struct FormSegment(FormName Name, bool IsIndex);
