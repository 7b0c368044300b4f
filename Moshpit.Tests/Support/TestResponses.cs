using Moshpit.Server.Http;

namespace Moshpit.Tests.Support;

/// <summary>A response writer as a server has it.</summary>
internal static class TestResponses
{
    public static ResponseWriter Writer { get; } = new(new CorsPolicy(), new HttpDate(TimeProvider.System));
}
