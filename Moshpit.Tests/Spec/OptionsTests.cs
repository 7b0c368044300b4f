using System.CommandLine;
using System.Globalization;
using System.Reflection;
using Moshpit.Server;

namespace Moshpit.Tests.Spec;

/// <summary>
/// Each declaration of an option is about the property that it names, and holds on the command line and in a program alike.
/// </summary>
internal sealed class OptionsTests
{
    private static readonly string[] Texts =
    [
        "0", "0.0009", "0.001", "0.5", "1", "2", "7", "65535", "65536", "86400", "86401", "2073600", "2073600.5", "2073601", "134217728",
            "134217729",
        "268435456", "268435457", "2147483647", "2147483648", "1125899906842624", "1125899906842625", "9223372036854775806",
            "9223372036854775807",
        "9223372036854775808", "-1", "",
    ];

    /// <summary>The properties with a range of values.</summary>
    private static IEnumerable<PropertyInfo> Ranges => Properties.Where(property => Least(property) is not null);

    private static IEnumerable<PropertyInfo> RangesOfCommandLine => Ranges.Where(property => Declared(property).Name is not null);

    private static PropertyInfo[] Properties { get; } =
        typeof(MoshpitServerOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance);

    [Test]
    public void Each_property_is_declared_once()
    {
        string[] objects = [nameof(MoshpitServerOptions.LoggerFactory), nameof(MoshpitServerOptions.TimeProvider)];
        Assert.That(
            MoshpitServerOptions.Settings.Select(setting => setting.Property),
            Is.EquivalentTo(Properties.Select(property => property.Name).Except(objects)));
        Assert.That(CommandLine.Settings.Select(setting => setting.Name), Is.Unique.And.None.Null);
    }

    [Test]
    public void The_defaults_are_allowed() => Assert.That(() => new MoshpitServerOptions().CheckedCopy(), Throws.Nothing);

    [TestCaseSource(nameof(Ranges))]
    public void A_value_out_of_range_is_told_with_its_property_and_what_is_allowed(PropertyInfo property)
    {
        object least = Least(property)!;
        var options = new MoshpitServerOptions();
        property.SetValue(options, least);
        Assert.That(
            options.CheckedCopy,
            Throws.ArgumentException.With.Message.StartsWith($"{property.Name} is {least}; it must be ")
                .And.Message.Match(" from [01] .*to [0-9]+"));
    }

    [TestCaseSource(nameof(RangesOfCommandLine))]
    public async Task An_option_sets_its_property_and_no_other(PropertyInfo property)
    {
        MoshpitServerOptions read = (await ReadAsync(property, "7"))!;
        var defaults = new MoshpitServerOptions();
        foreach (PropertyInfo each in Properties)
        {
            object? expected = each.Name == property.Name ? Value(property, "7") : each.GetValue(defaults);
            Assert.That(each.GetValue(read), Is.EqualTo(expected), each.Name);
        }
    }

    [TestCaseSource(nameof(RangesOfCommandLine))]
    public async Task An_option_takes_what_its_property_takes(PropertyInfo property)
    {
        foreach (string text in Texts)
            Assert.That(await ReadAsync(property, text) is not null, Is.EqualTo(Takes(property, Value(property, text))), text);
    }

    private static bool Takes(PropertyInfo property, object? value)
    {
        if (value is null)
            return false;
        var options = new MoshpitServerOptions();
        property.SetValue(options, value);
        try
        {
            options.CheckedCopy();
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    /// <summary>The options that the command line comes to with this text; null if it is refused.</summary>
    private static async Task<MoshpitServerOptions?> ReadAsync(PropertyInfo property, string text)
    {
        MoshpitServerOptions? read = null;
        RootCommand command = new CommandLine(_ => null).Build(arguments =>
        {
            read = arguments.Options;
            return Task.FromResult(0);
        });
        ParseResult parsed = command.Parse([Declared(property).Name!, text]);
        if (parsed.Errors.Count == 0)
            await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        return read;
    }

    private static Setting Declared(PropertyInfo property) =>
        MoshpitServerOptions.Settings.Single(setting => setting.Property == property.Name);

    /// <summary>The least value that the property's type has, which none allows; null if it has none.</summary>
    private static object? Least(PropertyInfo property) =>
        Type.GetTypeCode(Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType) switch
    {
        TypeCode.Int32 => int.MinValue,
        TypeCode.Int64 => long.MinValue,
        _ => property.PropertyType == typeof(TimeSpan) ? TimeSpan.MinValue : null,
    };

    /// <summary>The text as a value of the property; null if it is none.</summary>
    private static object? Value(PropertyInfo property, string text)
    {
        const NumberStyles Digits = NumberStyles.AllowLeadingSign;
        return Least(property) switch
        {
            int => int.TryParse(text, Digits, CultureInfo.InvariantCulture, out int number) ? number : null,
            long => long.TryParse(text, Digits, CultureInfo.InvariantCulture, out long number) ? number : null,
            _ => double.TryParse(text, Digits | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds)
                && seconds < TimeSpan.MaxValue.TotalSeconds ? TimeSpan.FromSeconds(seconds) : null,
        };
    }
}
