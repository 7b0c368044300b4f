namespace Moshpit.Server.Api;

/// <summary>A stretch of a form's decoded text.</summary>
internal readonly record struct Slice(int Start, int Length)
{
    public ReadOnlySpan<byte> Of(ReadOnlySpan<byte> text) => text.Slice(Start, Length);
}
