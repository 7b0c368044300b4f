using System.Runtime.InteropServices;
using Moshpit.Server.Limits;

namespace Moshpit.Tests.Limits;

[NonParallelizable]
internal sealed class DescriptorLimitTests
{
    private const int OpenFiles = 7; // RLIMIT_NOFILE

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
    public void What_does_not_say_it_is_no_limit(string text) =>
        Assert.That(DescriptorLimit.ConnectionsOf(text, 10), Is.EqualTo(int.MaxValue));

    [Test]
    [Platform("Linux")]
    public void This_process_has_one() => Assert.That(DescriptorLimit.Connections(), Is.InRange(1, int.MaxValue - 1));

    [TestCase(1024, 256)]
    [TestCase(7, 1)]
    [TestCase(3, 1)]
    [TestCase(int.MaxValue, int.MaxValue / 4)]
    public void One_address_gets_a_quarter_and_one_connection_at_least(int connections, int share) =>
        Assert.That(DescriptorLimit.ShareOf(connections), Is.EqualTo(share));

    [Test]
    [Platform("Linux")]
    public void The_soft_limit_is_raised_to_the_hard_one()
    {
        nuint[] before = Limits();
        Assert.That(SetLimit(OpenFiles, [before[1] - 1, before[1]]), Is.Zero);
        DescriptorLimit.Raise();
        Assert.That(Limits(), Is.EqualTo(new[] { before[1], before[1] }));
        Assert.That(SetLimit(OpenFiles, before), Is.Zero);
    }

    private static nuint[] Limits()
    {
        nuint[] limits = new nuint[2];
        Assert.That(GetLimit(OpenFiles, limits), Is.Zero);
        return limits;
    }

    [DllImport("libc", EntryPoint = "getrlimit")]
    private static extern int GetLimit(int resource, [Out] nuint[] limits);

    [DllImport("libc", EntryPoint = "setrlimit")]
    private static extern int SetLimit(int resource, nuint[] limits);
}
