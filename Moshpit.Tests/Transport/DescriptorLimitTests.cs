using Moshpit.Server.Transport;

namespace Moshpit.Tests.Transport;

internal sealed class DescriptorLimitTests
{
    [TestCase("20000", 20_000 - 100 - 256)]
    [TestCase("1024", 1024 - 100 - 128)]
    [TestCase("200", 200 - 100 - 32)]
    [TestCase("120", 1)]
    [TestCase("unlimited", int.MaxValue)]
    public void Of_the_soft_limit_what_is_open_and_a_reserve_is_left_alone(string soft, int connections) =>
        Assert.That(
            DescriptorLimit.ConnectionsOf(
                "Limit                     Soft Limit           Hard Limit           Units     \n" +
                "Max processes             7                    7                    processes \n" +
                $"Max open files            {soft,-20} 524288               files     \n",
                open: 100),
            Is.EqualTo(connections));

    [TestCase("")]
    [TestCase("Max open files")]
    public void What_does_not_say_it_is_no_limit(string text) => Assert.That(DescriptorLimit.ConnectionsOf(text, 10), Is.EqualTo(int.MaxValue));

    [Test]
    [Platform("Linux")]
    public void This_process_has_one() => Assert.That(DescriptorLimit.Connections(), Is.InRange(1, int.MaxValue - 1));
}
