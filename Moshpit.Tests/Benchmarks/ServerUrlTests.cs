using Moshpit.Benchmarks.Load;

namespace Moshpit.Tests.Benchmarks;

/// <summary>The URL that <c>load</c> is given.</summary>
public sealed class ServerUrlTests
{
    [TestCase("http://localhost:5000", "localhost", 5000, "localhost:5000", "", false)]
    [TestCase("http://localhost:5000/", "localhost", 5000, "localhost:5000", "", false)]
    [TestCase("http://example.com/pit", "example.com", 80, "example.com", "/pit", false)]
    [TestCase("https://example.com/a/b/", "example.com", 443, "example.com", "/a/b", true)]
    [TestCase("https://example.com:8443", "example.com", 8443, "example.com:8443", "", true)]
    [TestCase("http://[::1]:5000/pit", "::1", 5000, "[::1]:5000", "/pit", false)]
    public void It_names_a_host_and_a_prefix(string text, string host, int port, string hostField, string prefix, bool isSecure)
    {
        ServerUrl url = ServerUrl.TryParse(text)!;
        Assert.That(
            (url.Host, url.Port, url.HostField, url.Prefix, url.IsSecure, url.SocketPath, url.ToString()),
            Is.EqualTo((host, port, hostField, prefix, isSecure, (string?)null, text)));
    }

    [TestCase("http://unix:/tmp/m.sock", "/tmp/m.sock", "")]
    [TestCase("http://unix:/tmp/m.sock:/", "/tmp/m.sock", "")]
    [TestCase("HTTP://UNIX:/tmp/m.sock:/a/pit", "/tmp/m.sock", "/a/pit")]
    public void It_names_a_Unix_socket_as_the_clients_do(string text, string path, string prefix)
    {
        ServerUrl url = ServerUrl.TryParse(text)!;
        Assert.That((url.SocketPath, url.Prefix, url.HostField, url.IsSecure), Is.EqualTo((path, prefix, "localhost", false)));
    }

    [TestCase("")]
    [TestCase("localhost:5000")]
    [TestCase("ftp://localhost")]
    [TestCase("http://")]
    [TestCase("http://user@localhost")]
    [TestCase("http://localhost/?a=b")]
    [TestCase("http://localhost/#a")]
    public void Anything_else_is_no_URL_of_a_server(string text)
    {
        Assert.That(ServerUrl.TryParse(text), Is.Null);
    }
}
