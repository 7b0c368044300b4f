using System.Text;
using Moshpit.Server.Api;
using Moshpit.Server.Http;
using HttpMethod = Moshpit.Server.Http.HttpMethod;

namespace Moshpit.Tests.Api;

internal sealed class RouterTests
{
    private const string Id = "0123456789abcdef0123456789abcdef";

    private static readonly Handler Root = new(), Channel = new(), Options = new();

    private static readonly Router Routes = new Router()
        .Map(HttpMethod.Get, "/", Root).Map(HttpMethod.Get, Router.Channel, Channel).Map(HttpMethod.Options, Router.Any, Options);

    [TestCase("/", "")]
    [TestCase("http://localhost", "")]
    [TestCase("HTTPS://localhost:1?a/b", "a/b")]
    [TestCase("/?a=b/c?d", "a=b/c?d")]
    public void The_root_is_a_slash_alone_whatever_the_query(string target, string query)
    {
        HttpRequest request = Request("GET", target);
        Assert.That(Routes.Find(request, out Rejection? rejection), Is.SameAs(Root));
        Assert.That((rejection, Encoding.Latin1.GetString(request.Query)), Is.EqualTo(((Rejection?)null, query)));
    }

    [TestCase("/a1", "a1")]
    [TestCase("//a1", "a1")]
    [TestCase("/a1?b", "a1")]
    [TestCase("http://localhost///a1?b", "a1")]
    [TestCase("/" + Id, Id)]
    [TestCase("//" + Id + "?q", Id)]
    [TestCase("/" + Id + "0", Id + "0")]
    [TestCase("/0123456789abcdef0123456789abcdeg", "0123456789abcdef0123456789abcdeg")]
    public void A_channel_is_letters_and_digits_after_slashes(string target, string expected)
    {
        HttpRequest request = Request("GET", target);
        Assert.That(Routes.Find(request, out _), Is.SameAs(Channel));
        Assert.That(Encoding.Latin1.GetString(Router.ChannelIn(request.Path)), Is.EqualTo(expected));
    }

    [TestCase("//")]
    [TestCase("/a1/")]
    [TestCase("/A1")]
    [TestCase("/%61")]
    [TestCase("/./a")]
    [TestCase("/a/../b")]
    [TestCase("/*")]
    public void Any_other_path_is_nothing_here(string target)
    {
        Assert.That(Routes.Find(Request("GET", target), out Rejection? rejection), Is.Null);
        Assert.That(rejection, Is.SameAs(ApiRejections.UnknownTarget));
        Assert.That(Routes.Find(Request("OPTIONS", target), out _), Is.SameAs(Options));
    }

    [TestCase("PUT", "/")]
    [TestCase("PUT", "/A1")]
    [TestCase("POST", "/")]
    [TestCase("CONNECT", "a.example:443")]
    public void A_method_that_no_route_has_is_not_allowed_whatever_the_path(string method, string target)
    {
        Assert.That(Routes.Find(Request(method, target), out Rejection? rejection), Is.Null);
        Assert.That(rejection, Is.SameAs(ApiRejections.MethodNotAllowed));
    }

    [Test]
    public void Options_may_ask_for_the_whole_server() => Assert.That(Routes.Find(Request("OPTIONS", "*"), out _), Is.SameAs(Options));

    private static HttpRequest Request(string method, string target)
    {
        var request = new HttpRequest();
        var reader = new System.Buffers.SequenceReader<byte>(
            new(Encoding.Latin1.GetBytes($"{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n")));
        Assert.That(new RequestParser(new RequestLimits()).Parse(ref reader, request), Is.EqualTo(ParseOutcome.Done));
        return request;
    }

    private sealed class Handler : IHandler
    {
        public ValueTask<Outcome> HandleAsync(Exchange exchange) => throw new NotSupportedException();
    }
}
