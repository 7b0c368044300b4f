namespace Moshpit.Server.Http;

/// <summary>The media types of a body, as far as they make a difference here.</summary>
internal enum ContentType : byte
{
    /// <summary>The request names none.</summary>
    None,
    Json,
    Form,
    Other,
}
