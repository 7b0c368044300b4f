using System.Text;
using System.Text.Json;

namespace Moshpit.Server.Http;

/// <summary>
/// Why a request is refused: a status, a stable kebab-case name for logs and counters, and a sentence for the client that says
/// what was wrong and what would be right.
/// </summary>
internal sealed class Rejection
{
    /// <summary>Seconds after which a refusal for now is worth another try, if nothing better is known.</summary>
    private const int DefaultRetryAfter = 5;

    private readonly byte[] _body;
    private byte[]? _json;

    /// <param name="status">Status code of the answer.</param>
    /// <param name="name">Stable name, in kebab-case.</param>
    /// <param name="sentence">English, for the client's developer.</param>
    /// <param name="close">Where the next request starts is unknown or can't be trusted.</param>
    /// <param name="retryAfter">Of a 429 or 503: after how many seconds another try makes sense.</param>
    /// <param name="isTemporary">It holds for now only; null: as its status says.</param>
    public Rejection(
        int status, string name, string sentence, bool close = false, int retryAfter = DefaultRetryAfter, bool? isTemporary = null)
    {
        IsTemporary = isTemporary ?? status is 429 or 503;
        RetryAfter = retryAfter;
        Status = status;
        Name = name;
        Sentence = sentence;
        Close = close;
        _body = Encoding.UTF8.GetBytes(sentence + "\n");
    }

    public int Status { get; }

    public string Name { get; }

    public string Sentence { get; }

    /// <summary>The connection can't be trusted to be in step any more, and ends after the answer.</summary>
    public bool Close { get; }

    /// <summary>It holds for now only, as 429 and 503 do: the same request may be served later.</summary>
    public bool IsTemporary { get; }

    /// <summary>Of a temporary refusal: after how many seconds another try makes sense.</summary>
    public int RetryAfter { get; }

    /// <summary>The sentence as it is sent.</summary>
    public ReadOnlySpan<byte> Body => _body;

    /// <summary>The refusal as JSON.</summary>
    public ReadOnlySpan<byte> Json =>
        _json ??= Encoding.UTF8.GetBytes(
            $"{{\"status\":{Status},\"error\":\"{Name}\",\"message\":\"{JsonEncodedText.Encode(Sentence)}\"}}");

    /// <summary>The same refusal in words that fit the one case, where the general sentence would help less.</summary>
    public Rejection With(string sentence) => new(Status, Name, sentence, Close, RetryAfter, IsTemporary);

    public override string ToString() => $"{Status} {Name}";
}
