using System.Buffers;
using System.Diagnostics.CodeAnalysis;
namespace Moshpit.Server.Api;
internal static class FormBody { public static bool TryParse(ReadOnlySpan<byte> body, IBufferWriter<byte> data, out Message message, [NotNullWhen(false)] out string? error) { message = default; error = null; return true; } }
