using System.Buffers;
using System.Text.Json;
using System.Diagnostics.CodeAnalysis;
namespace Moshpit.Server.Api;
internal static class JsonBody { public static bool TryParse(ReadOnlySpan<byte> body, IBufferWriter<byte> data, out Message message, [NotNullWhen(false)] out string? error) { message = default; error = null; 
 var d = JsonDocument.Parse(body.ToArray()).RootElement; message.SetToken(System.Text.Encoding.ASCII.GetBytes(d.GetProperty("token").GetString()!)); if (d.TryGetProperty("cid", out var c)) message.SetCid(System.Text.Encoding.ASCII.GetBytes(c.GetString()!)); data.Write(System.Text.Encoding.UTF8.GetBytes(d.GetProperty("data").GetRawText())); message.HasData = true; return true; } }
