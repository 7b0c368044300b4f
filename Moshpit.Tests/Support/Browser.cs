using System.Net;
using System.Net.Sockets;
using System.Text;
using OpenQA.Selenium.Chrome;

namespace Moshpit.Tests.Support;

/// <summary>
/// Chromium without a window. It shows one page, which this object serves on a port of its own. Tests that run at the same time may share
/// it.
/// </summary>
internal sealed class Browser : IDisposable
{
    private readonly Lock _gate = new();
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly TempFolder _profile;
    private readonly ChromeDriverService _service;
    private readonly ChromeDriver _driver;

    /// <summary>Starts the browser and has it load <paramref name="page"/>.</summary>
    /// <param name="page">A document in HTML.</param>
    /// <param name="arguments">For the browser, beside the usual ones.</param>
    public Browser(string page, params string[] arguments)
    {
        string chromium = Counterpart.Program("chromium", "chromium", "google-chrome");
        string driver = Counterpart.Program("chromedriver (chromium-driver in Debian)", "chromedriver");
        _profile = new TempFolder();
        _listener.Start();
        Origin = $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";
        _ = ServeAsync(page);
        _service = ChromeDriverService.CreateDefaultService(Path.GetDirectoryName(driver), Path.GetFileName(driver));
        _service.SuppressInitialDiagnosticInformation = true;

        // Chromium keeps reports of crashes there, outside of its profile.
        _service.DriverProcessStarting += (_, e) => e.DriverServiceProcessStartInfo.Environment["XDG_CONFIG_HOME"] = _profile["config"];
        var options = new ChromeOptions { BinaryLocation = chromium };
        options.AddArguments(
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", $"--user-data-dir={_profile["profile"]}");
        options.AddArguments(arguments);
        try
        {
            _driver = new ChromeDriver(_service, options, TimeSpan.FromMinutes(1));
            _driver.Navigate().GoToUrl(Origin);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The page's origin.</summary>
    public string Origin { get; }

    /// <summary>The value of <paramref name="expression"/>, JavaScript, as text.</summary>
    public string Evaluate(string expression)
    {
        lock (_gate)
            return (string)_driver.ExecuteScript($"return String({expression})")!;
    }

    public void Dispose()
    {
        _driver?.Quit();
        _service.Dispose();
        _listener.Dispose();
        _profile.Dispose();
    }

    private async Task ServeAsync(string page)
    {
        byte[] response = Encoding.UTF8.GetBytes(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n" +
            $"Content-Length: {Encoding.UTF8.GetByteCount(page)}\r\n\r\n{page}");
        try
        {
            while (true)
                _ = AnswerAsync(await _listener.AcceptTcpClientAsync(), response);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The browser was disposed.
        }
    }

    /// <summary>Answers one connection's first request, whatever it asks for.</summary>
    private static async Task AnswerAsync(TcpClient client, byte[] response)
    {
        using (client)
        {
            using var reader = new StreamReader(client.GetStream(), Encoding.Latin1);
            try
            {
                while (await reader.ReadLineAsync() is { Length: > 0 })
                {
                }

                await client.GetStream().WriteAsync(response);
            }
            catch (IOException)
            {
                // The browser opened a connection that it did not need.
            }
        }
    }
}
